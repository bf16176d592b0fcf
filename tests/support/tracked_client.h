// A client of a simulated store that knows what must be there: after each of its changes, and after
// every crash what was acknowledged at least.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/sim_store.h"

namespace stepdb {

// What a store shows.
struct StoreView {
    StoreView() = default;
    ReferenceModel::Contents contents;
    std::map<std::string, ModelFacts> facts;

    bool operator==(const StoreView&) const = default;
};

// Where clients back up to.
inline constexpr std::string_view kBackupsDirectory = "backups";

// Its changes are made one behind the other, and concern runs that nobody else writes to.
class TrackedClient {
  public:
    // `pause` is called after each change is sent: where some of what is under way may happen.
    TrackedClient(SimStore& store, const Id128& writer, std::function<void()> pause);

    void connect() { writer_.connect(store_); }
    void disconnect() { writer_.disconnect(); }

    void send(const ModelChange& change);
    // Rows of one run: steps [first, first + count), every metric step / 4 but for a NaN and an
    // absent value now and then.
    void log(const std::string& run, int first, int count, uint32_t attempt = 0);
    void log_times(const std::string& run, int first, int count);
    void fork(const std::string& run, const std::string& parent, double step);
    void restart(const std::string& run, uint32_t attempt, double step);
    void finish(const std::string& run, uint32_t attempt = 0);
    void set_attributes(const std::string& run, int number);
    void discard(const std::string& run, uint32_t attempt);
    void delete_metrics(const std::string& run,
                        const std::vector<std::string>& metrics = {"train/loss"});
    void delete_run(const std::string& run);
    // The project's runs outlive its retention.
    void expire(const std::string& project);

    // `meanwhile` is done when it has begun.
    void flush(const std::function<void()>& meanwhile = {});
    void compact(const std::function<void()>& meanwhile = {});
    // To kBackupsDirectory.
    void back_up(const std::function<void()>& meanwhile = {});
    // What the last backup that ended well holds at least, as a place in views().
    const std::optional<size_t>& backed_up() const { return backed_up_; }
    // Everything sent is acknowledged.
    void settle();
    // From now on the store may fail: what is refused ends the client's work, and whatever it is
    // told to do then it does not.
    void expect_failures() { expects_failures_ = true; }

    // What a full disk may refuse is made between these two, one change at a time: begin_try, the
    // change, end_try. When it is refused, everything is as if it had not been tried. While it
    // waits, nothing else may be made; end_try is asked again.
    enum class Try : uint8_t { kTaken, kRefused, kWaits };
    void begin_try();
    Try end_try();
    bool is_trying() const { return tried_.has_value(); }

    const ReferenceModel& model() const { return model_; }
    const TestWriter& writer() const { return writer_; }
    // What is there at first, and after each change.
    const std::vector<StoreView>& views() const { return views_; }
    // The view that holds everything acknowledged and nothing more.
    size_t acknowledged() const { return view_after_frames_[writer_.acknowledged()]; }

  private:
    // What was there before.
    struct Tried {
        Tried();
        ReferenceModel model;
        size_t views = 0;
        size_t frames = 0;
        size_t changes_refused = 0;
        std::string deleted;  // a run
    };

    bool has_ended() const { return expects_failures_ && !writer_.refusals().empty(); }
    void open(const std::string& run);
    void send_life(const std::string& run, const TestWriter::EncodeLife& encode);
    // The model has changed, by a frame or by what the store does by itself.
    void changed_by_frame();
    bool do_beside(Task<Status> task, const std::function<void()>& meanwhile);
    void changed();

    SimStore& store_;
    std::function<void()> pause_;
    bool expects_failures_ = false;
    std::optional<Tried> tried_;
    std::optional<size_t> backed_up_;
    TestWriter writer_;
    std::shared_ptr<const Schema> stepped_;
    std::shared_ptr<const Schema> timed_;
    ReferenceModel model_;
    std::vector<StoreView> views_;
    std::vector<size_t> view_after_frames_;
};

}  // namespace stepdb
