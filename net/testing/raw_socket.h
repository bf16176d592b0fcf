// The other end of a connection, for tests that send what no client of ours would.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "engine/model/frame.h"
#include "net/testing/session_harness.h"

namespace stepdb {

// A socket without manners.
class RawSocket {
  public:
    explicit RawSocket(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    }
    ~RawSocket() { close(fd_); }
    RawSocket(const RawSocket&) = delete;
    RawSocket& operator=(const RawSocket&) = delete;

    void send(Bytes bytes) {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    void end() { shutdown(fd_, SHUT_WR); }

    // The next frame; empty if the server has closed.
    std::vector<std::byte> read_frame() {
        std::vector<std::byte> frame = read(kFrameHeaderBytes);
        if (frame.empty()) {
            return frame;
        }
        const FrameHeader header = parse_frame_header(frame).value();
        const std::vector<std::byte> body = read(header.length - frame.size());
        frame.insert(frame.end(), body.begin(), body.end());
        EXPECT_TRUE(verify_frame(header, frame).has_value());
        return frame;
    }
    // Everything until the server closes.
    std::vector<SentFrame> read_all() {
        std::vector<SentFrame> frames;
        for (auto bytes = read_frame(); !bytes.empty(); bytes = read_frame()) {
            SentFrame frame;
            frame.header = parse_frame_header(bytes).value();
            frame.bytes = std::move(bytes);
            frames.push_back(std::move(frame));
        }
        return frames;
    }

  private:
    std::vector<std::byte> read(size_t bytes) {
        std::vector<std::byte> into(bytes);
        size_t there = 0;
        while (there < bytes) {
            const ssize_t count = recv(fd_, into.data() + there, bytes - there, 0);
            if (count <= 0) {
                EXPECT_TRUE(count == 0 && there == 0) << "connection lost within a frame";
                return {};
            }
            there += static_cast<size_t>(count);
        }
        return into;
    }

    int fd_;
};

}  // namespace stepdb
