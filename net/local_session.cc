#include "net/local_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace stepdb {

void LocalSessions::wake_all() {
    for (LocalSession* session : all_) {
        session->wake();
    }
}

void LocalSessions::tick() {
    for (LocalSession* session : all_) {
        session->session_.check_access();
        session->wake();  // the rate of a token may allow more by now
    }
}

LocalSession::LocalSession(LocalSessions& home, Peer& peer)
    : home_(home),
      peer_(peer),
      self_(std::make_shared<LocalSession*>(this)),
      session_(home.services_, [this] { wake(); }) {
    home_.all_.insert(this);
}

LocalSession::~LocalSession() {
    home_.all_.erase(this);
    *self_ = nullptr;
}

void LocalSession::send(std::vector<std::byte> frame) {
    sent_.push_back(std::move(frame));
    wake();
}

void LocalSession::wake() {
    if (std::exchange(is_woken_, true)) {
        return;
    }
    home_.net_side_.post([self = self_] {
        if (*self != nullptr) {
            (*self)->is_woken_ = false;
            (*self)->pump();
        }
    });
}

void LocalSession::pump() {
    const std::shared_ptr<LocalSession*> self = self_;
    session_.resume();
    take_in();
    hand_out();
    // The peer may have let it go.
    if (*self != nullptr && session_.finished() && !std::exchange(has_finished_, true)) {
        peer_.on_finished();
    }
}

void LocalSession::take_in() {
    while (!sent_.empty() && session_.wants_input()) {
        const std::vector<std::byte>& frame = sent_.front();
        const MutableBytes room = session_.prepare();
        const size_t bytes = std::min(room.size(), frame.size() - taken_);
        std::memcpy(room.data(), frame.data() + taken_, bytes);
        taken_ += bytes;
        if (taken_ == frame.size()) {
            sent_.pop_front();
            taken_ = 0;
        }
        session_.commit(bytes);
    }
}

void LocalSession::hand_out() {
    const std::shared_ptr<LocalSession*> self = self_;
    while (session_.has_output() && peer_.wants_frames()) {
        const std::vector<std::byte> frames = session_.take_output();
        Bytes rest(frames);
        while (!rest.empty()) {
            // Ours, so it is whole.
            const Result<FrameHeader> header = parse_frame_header(rest);
            CHECK(header && header->length <= rest.size(), "a frame that a session has cut short");
            peer_.on_frame(*header, frame_body(rest.first(header->length)));
            if (*self == nullptr) {
                return;
            }
            rest = rest.subspan(header->length);
        }
        session_.output_sent();
    }
}

}  // namespace stepdb
