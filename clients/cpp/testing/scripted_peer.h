// A server that does what the test says, frame by frame.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "engine/model/frame.h"
#include "net/message.h"

namespace stepdb::client {

// A listening socket of the loopback.
class Listener {
  public:
    Listener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(bind(fd_, any, length), 0);
        EXPECT_EQ(listen(fd_, 16), 0);
        EXPECT_EQ(getsockname(fd_, any, &length), 0);
        port_ = ntohs(address.sin_port);
    }
    ~Listener() { close(fd_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    uint16_t port() const { return port_; }
    int fd() const { return fd_; }
    int accept_one() const { return accept(fd_, nullptr, nullptr); }

  private:
    int fd_;
    uint16_t port_ = 0;
};

struct PeerFrame {
    FrameHeader header;
    std::vector<std::byte> bytes;

    Bytes body() const { return frame_body(bytes); }
};

// One connection to it, greeted. Its methods block until the client has sent what they read.
class ScriptedPeer {
  public:
    explicit ScriptedPeer(const Listener& listener) : fd_(listener.accept_one()) {
        EXPECT_EQ(read().header.type, FrameType::kHello);
        send(encode_hello_ok(HelloOkMessage()));
    }
    ~ScriptedPeer() { hang_up(); }
    ScriptedPeer(const ScriptedPeer&) = delete;
    ScriptedPeer& operator=(const ScriptedPeer&) = delete;

    // The next frame; type 0 if the client has closed.
    PeerFrame read() {
        PeerFrame frame;
        frame.header.type = FrameType{0};
        frame.bytes.resize(kFrameHeaderBytes);
        if (!fill(frame.bytes)) {
            return frame;
        }
        frame.header = parse_frame_header(frame.bytes).value();
        frame.bytes.resize(frame.header.length);
        EXPECT_TRUE(fill(MutableBytes(frame.bytes).subspan(kFrameHeaderBytes)));
        EXPECT_TRUE(verify_frame(frame.header, frame.bytes).has_value());
        ordinal_ += is_change(frame.header.type) ? 1U : 0U;
        return frame;
    }
    PeerFrame expect(FrameType type) {
        PeerFrame frame = read();
        EXPECT_EQ(frame_type_name(frame.header.type), frame_type_name(type));
        return frame;
    }
    // Of the changing frame that was read last.
    uint64_t ordinal() const { return ordinal_; }

    void send(Bytes bytes) {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    void ack() { send(encode_ack(AckMessage(), ordinal_)); }
    void refuse(ErrorCode code, const std::string& message) {
        send(encode_error(ErrorMessage(ErrorScope::kChange, Error(code, message)), ordinal_));
    }
    // Reads an open_run and accepts it.
    OpenRunFrame open(uint64_t last_number = 0) {
        opening_ = expect(FrameType::kOpenRun);
        const OpenRunFrame open = OpenRunFrame::decode(opening_.body()).value();
        RunOpened opened;
        opened.handle = open.handle;
        opened.run = 1;
        opened.last_number = last_number;
        send(encode_run_opened(opened, ordinal_));
        ack();
        return open;
    }
    void hang_up() {
        if (fd_ >= 0) {
            close(std::exchange(fd_, -1));
        }
    }

  private:
    bool fill(MutableBytes bytes) {
        size_t there = 0;
        while (there < bytes.size()) {
            const ssize_t count = recv(fd_, bytes.data() + there, bytes.size() - there, 0);
            if (count <= 0) {
                return false;
            }
            there += static_cast<size_t>(count);
        }
        return true;
    }

    int fd_;
    uint64_t ordinal_ = 0;
    PeerFrame opening_;  // what open() returned points into it
};

}  // namespace stepdb::client
