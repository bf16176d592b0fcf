#include "net/deflate_stream.h"

#include <zlib.h>

#include "engine/base/check.h"

namespace stepdb {

namespace {

// A raw stream, without what zlib or gzip put around it.
constexpr int kRawWindowBits = -15;
constexpr int kMemoryLevel = 8;

const Bytef* input_of(std::string_view bytes) {
    return reinterpret_cast<const Bytef*>(bytes.data());
}

void put_le32(std::string& out, uint32_t value) {
    for (unsigned at = 0; at < 4; ++at) {
        out += static_cast<char>(value >> (8 * at) & 0xFFU);
    }
}

// Everything that deflate() makes of the bytes up to a flush of this kind.
std::string deflate_all(z_stream& stream, std::string_view bytes, int flush) {
    CHECK(bytes.size() <= UINT32_MAX, "{} bytes to be compressed at once", bytes.size());
    // zlib's interface takes what it only reads without const.
    stream.next_in =
        const_cast<Bytef*>(input_of(bytes));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    stream.avail_in = static_cast<uInt>(bytes.size());
    std::string out;
    do {
        const size_t before = out.size();
        out.resize(before + std::max<size_t>(bytes.size() / 3, 1024));
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
        stream.avail_out = static_cast<uInt>(out.size() - before);
        const int status = ::deflate(&stream, flush);
        CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR,
              "deflate: status {}", status);
        out.resize(out.size() - stream.avail_out);
        if (stream.avail_out != 0) {
            return out;
        }
    } while (true);
}

}  // namespace

struct DeflateStream::State {
    z_stream stream{};
};

// The fastest level: an answer is wanted now, and numbers as text become half as long with any.
DeflateStream::DeflateStream() : state_(std::make_unique<State>()) {
    const int status = deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, kRawWindowBits,
                                    kMemoryLevel, Z_DEFAULT_STRATEGY);
    CHECK(status == Z_OK, "deflateInit2: status {}", status);
}

DeflateStream::~DeflateStream() {
    deflateEnd(&state_->stream);
}

std::string DeflateStream::add(std::string_view bytes) {
    return deflate_all(state_->stream, bytes, Z_FULL_FLUSH);
}

uint32_t crc_of(std::string_view bytes) {
    return static_cast<uint32_t>(crc32_z(0, input_of(bytes), bytes.size()));
}

std::string GzipFrame::head() {
    // Magic, deflate, no flags, no time, no hint, unknown system (RFC 1952).
    return std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", kHeadBytes);
}

void GzipFrame::count(uint64_t plain_bytes, uint32_t plain_crc) {
    plain_bytes_ += plain_bytes;
    crc_ = static_cast<uint32_t>(crc32_combine(crc_, plain_crc, static_cast<z_off_t>(plain_bytes)));
}

std::string GzipFrame::end() const {
    // An empty last block, then checksum and length.
    std::string out("\x03\0", 2);
    put_le32(out, crc_);
    put_le32(out, static_cast<uint32_t>(plain_bytes_));
    return out;
}

std::string compress_gzip(std::string_view bytes) {
    z_stream stream{};
    const int status = deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kRawWindowBits,
                                    kMemoryLevel, Z_DEFAULT_STRATEGY);
    CHECK(status == Z_OK, "deflateInit2: status {}", status);
    std::string out = GzipFrame::head() + deflate_all(stream, bytes, Z_FINISH);
    deflateEnd(&stream);
    put_le32(out, crc_of(bytes));
    put_le32(out, static_cast<uint32_t>(bytes.size()));
    return out;
}

}  // namespace stepdb
