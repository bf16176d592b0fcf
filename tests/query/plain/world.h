// Runs and points for the exactness test of stages: what was written, by the rules of DESIGN's data
// model in plain maps, and a store that was told the same.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/query/engine_store.h"
#include "tests/query/script_store.h"
#include "tests/support/sim_executor.h"

namespace stepdb::plain {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Thrown where rounding decides what the answer is, or the language leaves it open: the query is no
// test.
struct Undecidable {
    const char* why = "";
};

// A number and how far what the engine has in its place may be off.
struct Number {
    double value = 0;
    double error = 0;
};

struct Point {
    double step = kNan;  // NaN: timed
    int64_t time_us = 0;
    Number value;
    double x = 0;         // once `x` has taken effect
    bool hidden = false;  // by a range; smoothing still sees it
};

struct Series {
    std::string run;    // label
    size_t source = 0;  // the run it is of, kNoSource if it is of several
    std::string metric;
    bool timed = false;
    std::map<std::string, std::string> captures;
    std::vector<Point> points;
};
inline constexpr size_t kNoSource = std::numeric_limits<size_t>::max();

// A run as it reads.
struct Run {
    std::string label;  // "p/r1", or "p/r1#0" of an older attempt
    std::map<std::string, std::vector<Point>> stepped;
    std::map<std::string, std::vector<Point>> timed;
    std::map<std::string, double> numbers;  // attributes
    std::map<std::string, std::string> texts;

    bool is_older_attempt() const { return label.find('#') != std::string::npos; }
    const std::vector<Point>* find(const std::string& metric) const;
    bool has(const std::string& attribute) const {
        return numbers.contains(attribute) || texts.contains(attribute);
    }
};

// What a world is like beside what is drawn.
struct WorldShape {
    // Steps reach to 50 of these, those of queries too.
    double step_unit = 1;
    // So many rows of a run come first, in order, over all of the steps and times, with nearly all
    // metrics: series long enough to have index nodes.
    uint32_t history_rows = 0;
    // Of these rows: each metric's values, one a row, are those of one of these columns, which are
    // as long at least. None: values are drawn.
    std::vector<std::vector<double>> columns;
};

class World {
  public:
    // `engine` is `store` or null: then there are no forks and restarts.
    World(SimRandom& random, ScriptStore& store, EngineStore* engine, WorldShape shape = {});

    const WorldShape& shape() const { return shape_; }
    const std::vector<Run>& runs() const { return runs_; }
    // What made it, a line each, as query scripts have it.
    const std::string& script() const { return script_; }

  private:
    using Keyed = std::map<std::string, std::map<double, Point>>;  // by metric, then key
    struct Attempt {
        std::optional<std::pair<size_t, size_t>> parent;  // number of run and of attempt
        double cut = 0;
        Keyed stepped;
        Keyed timed;
    };
    struct Written {
        std::string name;
        std::vector<Attempt> attempts;
    };

    void add_history(size_t run);
    void add_rows(size_t run, int rows);
    void add_row(size_t run);
    double any_step() { return static_cast<double>(random_.below(50)) * shape_.step_unit; }
    // The row of the run's attempt, with values for these metrics.
    void write(size_t run, ScriptRow row);
    void make_forks(EngineStore& engine);
    void restart(EngineStore& engine, size_t run);
    void set_attributes(Run& run);
    Keyed read_stepped(size_t run, size_t attempt) const;
    Keyed read_timed(size_t run, size_t attempt) const;
    void read_all();

    SimRandom& random_;
    ScriptStore& store_;
    const WorldShape shape_;
    std::vector<Written> written_;
    std::vector<Run> runs_;
    std::string script_;
};

// `number` as a word of a query.
std::string print(double number);

}  // namespace stepdb::plain
