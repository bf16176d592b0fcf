#include "tools/import/unpacked_source.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

namespace stepdb {

namespace {

constexpr size_t kHeadBytes = 4;
constexpr size_t kInputBytes = 64U << 10U;
constexpr size_t kOutputBytesMax = 1U << 30U;  // in one go: zlib counts in 32 bits

// What both have in common: compressed bytes as they come, and one error, which stays.
class Unpacker {
  public:
    Unpacker(ByteSource source, std::string path)
        : source_(std::move(source)), path_(std::move(path)), input_(kInputBytes) {}
    Unpacker(const Unpacker&) = delete;
    Unpacker& operator=(const Unpacker&) = delete;
    virtual ~Unpacker() = default;

    Result<size_t> read(MutableBytes into) {
        into = into.first(std::min(into.size(), kOutputBytesMax));
        while (!failed_ && !into.empty()) {
            if (position_ == filled_ && !has_ended_) {
                TRY(fill());
            }
            if (position_ == filled_ && has_ended_ && !is_within_ && !has_output_) {
                return size_t{0};
            }
            const size_t had = filled_ - position_;
            const size_t got = step(into);
            if (got > 0) {
                return got;
            }
            if (!failed_ && had == 0 && has_ended_ && is_within_) {
                fail(fmt::format("the file ends within {} data: it is not all there", name()));
            }
        }
        return failed_ ? Result<size_t>(*failed_) : Result<size_t>(size_t{0});
    }

  protected:
    // Takes some input and makes some output: how much of it. Sets is_within_ and has_output_.
    virtual size_t step(MutableBytes into) = 0;
    virtual std::string_view name() const = 0;

    void fail(std::string_view what) {
        failed_ = make_error(ErrorCode::kCorruption, "{}: byte {} of the compressed file: {}",
                             path_, taken_ + position_, what);
    }
    Bytes input() const { return Bytes(input_).subspan(position_, filled_ - position_); }
    void advance(size_t bytes) { position_ += bytes; }

    bool is_within_ = false;   // a member or frame that has begun has not ended
    bool has_output_ = false;  // more than there was room for

  private:
    Status fill() {
        taken_ += filled_;
        position_ = filled_ = 0;
        TRY_ASSIGN(filled_, source_(MutableBytes(input_)));
        has_ended_ = filled_ == 0;
        return {};
    }

    ByteSource source_;
    std::string path_;
    std::vector<std::byte> input_;
    size_t position_ = 0;
    size_t filled_ = 0;
    uint64_t taken_ = 0;  // before what input_ holds
    bool has_ended_ = false;
    std::optional<Error> failed_;
};

class GzipUnpacker final : public Unpacker {
  public:
    using Unpacker::Unpacker;
    ~GzipUnpacker() override { inflateEnd(&stream_); }

    bool open() { return inflateInit2(&stream_, MAX_WBITS + 16) == Z_OK; }

  protected:
    size_t step(MutableBytes into) override {
        if (!is_within_) {
            inflateReset(&stream_);
        }
        const Bytes from = input();
        // zlib takes what it does not change as if it might.
        stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(from.data()));
        stream_.avail_in = static_cast<uInt>(from.size());
        stream_.next_out = reinterpret_cast<Bytef*>(into.data());
        stream_.avail_out = static_cast<uInt>(into.size());
        const bool was_within = is_within_;
        const int said = inflate(&stream_, Z_NO_FLUSH);
        advance(from.size() - stream_.avail_in);
        is_within_ = said != Z_STREAM_END;
        has_output_ = is_within_ && stream_.avail_out == 0;
        if (said != Z_OK && said != Z_STREAM_END && said != Z_BUF_ERROR) {
            const std::string why = stream_.msg != nullptr ? stream_.msg : zError(said);
            fail(was_within ? fmt::format("damaged gzip data ({})", why)
                            : "what follows the gzip data is none");
        }
        return into.size() - stream_.avail_out;
    }
    std::string_view name() const override { return "gzip"; }

  private:
    z_stream stream_ = {};
};

class ZstdUnpacker final : public Unpacker {
  public:
    using Unpacker::Unpacker;
    ~ZstdUnpacker() override { ZSTD_freeDStream(stream_); }

    bool open() {
        stream_ = ZSTD_createDStream();
        return stream_ != nullptr;
    }

  protected:
    size_t step(MutableBytes into) override {
        const Bytes from = input();
        ZSTD_inBuffer in = {from.data(), from.size(), 0};
        ZSTD_outBuffer out = {into.data(), into.size(), 0};
        const bool was_within = is_within_;
        const size_t said = ZSTD_decompressStream(stream_, &out, &in);
        advance(in.pos);
        is_within_ = said != 0;
        has_output_ = is_within_ && out.pos == out.size;
        if (ZSTD_isError(said) != 0) {
            const ZSTD_ErrorCode code = ZSTD_getErrorCode(said);
            fail(code == ZSTD_error_frameParameter_windowTooLarge
                     ? "its window is over 128 MiB (zstd --long or --ultra); compress it with less"
                 : code == ZSTD_error_prefix_unknown && !was_within
                     ? "what follows the zstd data is none"
                     : fmt::format("damaged zstd data ({})", ZSTD_getErrorName(said)));
        }
        return out.pos;
    }
    std::string_view name() const override { return "zstd"; }

  private:
    ZSTD_DStream* stream_ = nullptr;
};

template <typename Kind>
Result<ByteSource> unpack_as(ByteSource source, const std::string& path) {
    const auto unpacker = std::make_shared<Kind>(std::move(source), path);
    if (!unpacker->open()) {
        return make_error(ErrorCode::kResourceExhausted, "{}: no memory to uncompress it", path);
    }
    return ByteSource([unpacker](MutableBytes into) { return unpacker->read(into); });
}

}  // namespace

Packing packing_of(Bytes head) {
    constexpr std::string_view kGzip = "\x1f\x8b\x08";
    constexpr std::string_view kZstd = "\x28\xb5\x2f\xfd";
    const std::string_view text = as_text(head);
    return text.starts_with(kGzip)   ? Packing::kGzip
           : text.starts_with(kZstd) ? Packing::kZstd
                                     : Packing::kNone;
}

Result<ByteSource> unpack(ByteSource source, const std::string& path) {
    std::vector<std::byte> head(kHeadBytes);
    size_t filled = 0;
    while (filled < kHeadBytes) {
        TRY_ASSIGN(const size_t got, source(MutableBytes(head).subspan(filled)));
        if (got == 0) {
            break;
        }
        filled += got;
    }
    head.resize(filled);
    const Packing packing = packing_of(head);
    ByteSource whole = [source = std::move(source), head = std::move(head),
                        at = size_t{0}](MutableBytes into) mutable -> Result<size_t> {
        if (at == head.size()) {
            return source(into);
        }
        const size_t bytes = std::min(into.size(), head.size() - at);
        std::memcpy(into.data(), head.data() + at, bytes);
        at += bytes;
        return bytes;
    };
    switch (packing) {
        case Packing::kGzip:
            return unpack_as<GzipUnpacker>(std::move(whole), path);
        case Packing::kZstd:
            return unpack_as<ZstdUnpacker>(std::move(whole), path);
        case Packing::kNone:
            break;
    }
    return whole;
}

std::string_view without_packing_suffix(std::string_view name) {
    for (const std::string_view suffix : {".gz", ".zst"}) {
        if (name.size() > suffix.size() && name.ends_with(suffix)) {
            return name.substr(0, name.size() - suffix.size());
        }
    }
    return name;
}

}  // namespace stepdb
