// Stands between a client and a server and cuts connections: after so many bytes of the client's,
// drawn from a seed, which may be in the middle of a frame, or in the place of the first answer
// after some of them, so that an acknowledgement is lost. A greeting always comes through.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "clients/cpp/testing/scripted_peer.h"

namespace stepdb::client {

class CuttingProxy {
  public:
    // The first `cuts` connections are cut, each after up to `bytes_max` bytes of the client's.
    CuttingProxy(uint16_t server_port, uint32_t seed, int cuts, uint32_t bytes_max)
        : server_port_(server_port),
          random_(seed),
          cuts_(cuts),
          bytes_max_(bytes_max),
          stop_(eventfd(0, EFD_CLOEXEC)),
          thread_([this] { run(); }) {}
    ~CuttingProxy() {
        const uint64_t one = 1;
        EXPECT_EQ(write(stop_, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
        thread_.join();
        close(stop_);
    }
    CuttingProxy(const CuttingProxy&) = delete;
    CuttingProxy& operator=(const CuttingProxy&) = delete;

    uint16_t port() const { return listener_.port(); }
    int cuts_made() const { return cuts_made_; }

  private:
    static constexpr uint64_t kGreetingBytes = 200;

    // Waits until one of the two can be read; false if the proxy is to stop.
    bool wait(int a, int b, std::array<bool, 2>& can_read) const {
        std::array<pollfd, 3> ready = {};
        ready[0].fd = a;
        ready[1].fd = b;
        ready[2].fd = stop_;
        for (pollfd& each : ready) {
            each.events = POLLIN;
        }
        ::poll(ready.data(), ready.size(), -1);
        can_read = {ready[0].revents != 0, ready[1].revents != 0};
        return ready[2].revents == 0;
    }

    void run() {
        std::array<bool, 2> can_read = {};
        while (wait(listener_.fd(), -1, can_read)) {
            const int client = listener_.accept_one();
            const int server = connect_to_server();
            pass(client, server);
            close(client);
            close(server);
        }
    }

    int connect_to_server() const {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(server_port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        return fd;
    }

    // Until one of them closes, or the cut.
    void pass(int client, int server) {
        const bool is_cut = cuts_made_ < cuts_;
        const uint64_t cut_at = kGreetingBytes + random_() % bytes_max_;
        const uint64_t swallow_at = kGreetingBytes + random_() % bytes_max_;
        std::vector<std::byte> buffer(64U << 10U);
        uint64_t passed = 0;
        std::array<bool, 2> can_read = {};
        while (wait(client, server, can_read)) {
            if (can_read[0]) {
                const uint64_t wanted =
                    is_cut ? std::min(buffer.size(), cut_at - passed) : buffer.size();
                const ssize_t count = recv(client, buffer.data(), wanted, 0);
                if (count <= 0 || !send_all(server, buffer, count)) {
                    return;
                }
                passed += static_cast<uint64_t>(count);
            }
            if (can_read[1]) {
                const ssize_t count = recv(server, buffer.data(), buffer.size(), 0);
                if (is_cut && passed >= swallow_at) {
                    ++cuts_made_;
                    return;
                }
                if (count <= 0 || !send_all(client, buffer, count)) {
                    return;
                }
            }
            if (is_cut && passed >= cut_at) {
                ++cuts_made_;
                return;
            }
        }
    }

    static bool send_all(int fd, const std::vector<std::byte>& bytes, ssize_t count) {
        for (ssize_t sent = 0; sent < count;) {
            const ssize_t some =
                send(fd, bytes.data() + sent, static_cast<size_t>(count - sent), MSG_NOSIGNAL);
            if (some <= 0) {
                return false;
            }
            sent += some;
        }
        return true;
    }

    const uint16_t server_port_;
    std::minstd_rand random_;
    const int cuts_;
    const uint32_t bytes_max_;
    std::atomic<int> cuts_made_ = 0;
    const int stop_;
    Listener listener_;
    std::thread thread_;  // last: it uses the others
};

}  // namespace stepdb::client
