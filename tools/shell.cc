// `stepdb shell`: queries typed one after the other, with history, completion and charts.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "query/diagnostic.h"
#include "tools/ask.h"
#include "tools/command.h"
#include "tools/line_editor.h"
#include "tools/output/format_cell.h"
#include "tools/output/terminal.h"
#include "tools/pager.h"
#include "tools/shell_completion.h"
#include "tools/shell_names.h"
#include "tools/update_printer.h"

namespace stepdb {

namespace {

constexpr std::string_view kPrompt = "stepdb> ";
constexpr std::string_view kContinuedPrompt = "   ...> ";

volatile std::sig_atomic_t interrupted = 0;  // set by the signal handler

// While it lives Ctrl-C is noted instead of ending the process; a second one, if nothing has looked
// at the first, ends it. One within another keeps what that has noted: \watch must not lose it.
class InterruptNoted {
  public:
    InterruptNoted() {
        if (living++ == 0) {
            interrupted = 0;
        }
        struct sigaction noted = {};
        noted.sa_handler = [](int) {
            if (interrupted != 0) {
                _exit(128 + SIGINT);
            }
            interrupted = 1;
        };
        sigaction(SIGINT, &noted, &before_);
    }
    ~InterruptNoted() {
        sigaction(SIGINT, &before_, nullptr);
        --living;
    }
    InterruptNoted(const InterruptNoted&) = delete;
    InterruptNoted& operator=(const InterruptNoted&) = delete;

    static bool is_set() { return interrupted != 0; }

  private:
    static inline int living = 0;

    struct sigaction before_ = {};
};

// $XDG_STATE_HOME/stepdb/history, made if need be; empty if there is no place for it.
std::string history_file() {
    // NOLINTBEGIN(concurrency-mt-unsafe): nobody sets them
    const char* state = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    // NOLINTEND(concurrency-mt-unsafe)
    std::filesystem::path directory;
    if (state != nullptr && *state != '\0') {
        directory = state;
    } else if (home != nullptr && *home != '\0') {
        directory = std::filesystem::path(home) / ".local" / "state";
    } else {
        return {};
    }
    std::error_code failed;
    std::filesystem::create_directories(directory / "stepdb", failed);
    return failed ? std::string() : (directory / "stepdb" / "history").string();
}

// A query goes on in the next line if it cannot end here.
bool goes_on(std::string_view text) {
    const size_t last = text.find_last_not_of(" \t");
    return last != std::string_view::npos &&
           std::string_view("|,@(").find(text[last]) != std::string_view::npos;
}

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : line + " ") {
        if (c != ' ' && c != '\t') {
            word += c;
        } else if (!word.empty()) {
            words.push_back(std::move(word));
            word.clear();
        }
    }
    return words;
}

class Shell {
  public:
    Shell(Asker& asker, const Asked& asked, PrintOptions print)
        : asker_(asker), asked_(asked), print_(print), names_(asker) {}

    // Until the end of the input. The status is that of the last thing that failed, if the input is
    // no terminal: a script has to know.
    Status run();

  private:
    struct ShellCommand {
        std::string_view name;
        void (Shell::*run)(const std::vector<std::string>& arguments);
    };

    void run_typed();
    Status run_script();
    void greet();
    Completions complete(std::string_view before_cursor);
    std::vector<std::string> names_for(const CompletionPoint& point);
    // A query or a command; false to leave.
    bool take(const std::string& text);
    void take_command(const std::string& line);
    Status query(const std::string& text, bool may_page);
    void tell(const Status& status);

    void help(const std::vector<std::string>& arguments);
    void quit(const std::vector<std::string>& arguments);
    void watch(const std::vector<std::string>& arguments);
    Status follow();
    Status ask_every(double seconds);
    void set_format(const std::vector<std::string>& arguments);
    void set_chart(const std::vector<std::string>& arguments);
    void set_pager(const std::vector<std::string>& arguments);
    void set_timing(const std::vector<std::string>& arguments);
    void set_switch(std::string_view name, bool& is_on, const std::vector<std::string>& arguments);

    Asker& asker_;
    const Asked& asked_;
    PrintOptions print_;
    ShellNames names_;
    bool is_terminal_ = is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
    bool is_paged_ = is_terminal_;
    bool is_timed_ = is_terminal_;
    bool is_left_ = false;
    std::string last_query_;
    Status failed_;
};

// --- Queries ---

Status Shell::query(const std::string& text, bool may_page) {
    const auto begun = std::chrono::steady_clock::now();
    std::chrono::duration<double, std::milli> taken{};
    Status status;
    {
        const InterruptNoted interrupt;
        Pager pager(may_page && is_paged_);
        const QueryText asked(text);
        AnswerPrinter printer(print_, asked, [&](std::string_view part) { pager.write(part); });
        status = ask_and_print(asker_, asked, printer,
                               [&] { return InterruptNoted::is_set() || pager.is_closed(); });
        if (!status && status.error().code() == ErrorCode::kCancelled && pager.is_closed()) {
            status = {};
        }
        taken = std::chrono::steady_clock::now() - begun;  // without what the pager's user takes
    }
    if (is_timed_ && status) {
        const bool is_colored = wants_color(STDOUT_FILENO);
        fmt::print("{}{:.{}f} ms{}\n", is_colored ? "\033[2m" : "", taken.count(),
                   taken.count() < 10 ? 1 : 0, is_colored ? "\033[0m" : "");
    }
    std::fflush(stdout);
    return status;
}

void Shell::tell(const Status& status) {
    if (!status) {
        const bool is_cancelled = status.error().code() == ErrorCode::kCancelled;
        fmt::print(stderr, "{}{}\n", is_cancelled ? "" : "error: ", status.error().message());
        failed_ = status;
    }
}

bool Shell::take(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string::npos) {
        return true;
    }
    // A semicolon, as SQL has taught many fingers.
    const size_t end = text.find_last_not_of(" \t\n;");
    if (end == std::string::npos || end < begin) {
        return true;
    }
    const std::string trimmed = text.substr(begin, end + 1 - begin);
    if (trimmed.front() == '\\' || trimmed == "quit" || trimmed == "exit" || trimmed == "help") {
        take_command(trimmed.front() == '\\' ? trimmed : "\\" + trimmed);
    } else {
        last_query_ = trimmed;
        tell(query(trimmed, true));
    }
    return !is_left_;
}

// --- Commands ---

void Shell::take_command(const std::string& line) {
    static constexpr std::array<ShellCommand, 12> kCommands = {{{"\\help", &Shell::help},
                                                                {"\\h", &Shell::help},
                                                                {"\\?", &Shell::help},
                                                                {"\\quit", &Shell::quit},
                                                                {"\\q", &Shell::quit},
                                                                {"\\exit", &Shell::quit},
                                                                {"\\watch", &Shell::watch},
                                                                {"\\format", &Shell::set_format},
                                                                {"\\chart", &Shell::set_chart},
                                                                {"\\pager", &Shell::set_pager},
                                                                {"\\timing", &Shell::set_timing},
                                                                {"\\w", &Shell::watch}}};
    std::vector<std::string> words = words_of(line);
    const std::string name = words.front();
    words.erase(words.begin());
    const auto command = std::ranges::find(kCommands, name, &ShellCommand::name);
    if (command != kCommands.end()) {
        (this->*command->run)(words);
        return;
    }
    tell(make_error(ErrorCode::kInvalidArgument, "there is no command {}{}; \\help lists them",
                    printable(name), did_you_mean(name, shell_commands())));
}

void Shell::help(const std::vector<std::string>& /*arguments*/) {
    fmt::print(
        "A query is METRICS @ RUNS | STAGE | ..., such as\n"
        "\n"
        "  train/loss, val/loss @ demo/* | steps 100.. | buckets 200\n"
        "  runs demo/*                    attributes demo/tiny      metrics layers/** @ demo/tiny\n"
        "\n"
        "A line that ends with | , @ or ( goes on in the next. Tab completes names, stages and\n"
        "fields; the arrow keys and Ctrl-R find what was typed before; Ctrl-C gives up a line or\n"
        "an answer.\n"
        "\n"
        "  \\watch [SECONDS]     the last query kept up to date until Ctrl-C, as rows come or "
        "every\n"
        "                       so many seconds\n"
        "  \\chart auto|on|off   draw buckets; always, points too; never\n"
        "  \\format FORMAT       table, csv, json or jsonl\n"
        "  \\pager on|off        long answers through $PAGER, or less\n"
        "  \\timing on|off       how long an answer took\n"
        "  \\help                this\n"
        "  \\quit                leave; so do exit and Ctrl-D\n");
}

void Shell::quit(const std::vector<std::string>& /*arguments*/) {
    is_left_ = true;
}

void Shell::watch(const std::vector<std::string>& arguments) {
    const bool is_followed = arguments.empty();
    const std::optional<double> seconds = is_followed ? 0 : parse_value(arguments.front());
    const bool is_interval = seconds && *seconds >= 0.1 && *seconds <= 86'400;
    if (arguments.size() > 1 || !(is_followed || is_interval)) {
        tell(Error(ErrorCode::kInvalidArgument,
                   "\\watch shows what changes as it comes; a number, 0.1 to 86400, has it ask "
                   "again every so many seconds instead"));
        return;
    }
    if (last_query_.empty()) {
        tell(Error(ErrorCode::kFailedPrecondition,
                   "\\watch keeps the query before it up to date; there has been none"));
        return;
    }
    const InterruptNoted interrupt;
    const Status watched = is_followed ? follow() : ask_every(*seconds);
    if (!watched && watched.error().code() != ErrorCode::kCancelled) {
        tell(watched);
    }
    fmt::print("\n");
}

Status Shell::follow() {
    const QueryText asked(last_query_);
    TRY_ASSIGN(
        const auto printer,
        UpdatePrinter::create(print_, asked, fmt::format("{}   Ctrl-C ends it\n\n", last_query_)));
    UpdateHandler handler;
    handler.on_update = [&](const auto& columns, const auto& blocks, const ResultUpdate& update) {
        return printer->update(columns, blocks, update);
    };
    handler.should_stop = InterruptNoted::is_set;
    return asker_.watch(asked, handler);
}

Status Shell::ask_every(double seconds) {
    while (!InterruptNoted::is_set()) {
        if (is_terminal_) {
            fmt::print("\033[H\033[2J{}   every {:g} s; Ctrl-C ends it\n\n", last_query_, seconds);
        }
        TRY(query(last_query_, false));
        // Ends early at a signal, which is what the loop asks for.
        poll(nullptr, 0, static_cast<int>(seconds * 1000));
    }
    return {};
}

void Shell::set_format(const std::vector<std::string>& arguments) {
    const std::optional<OutputFormat> format =
        arguments.size() == 1 ? parse_output_format(arguments.front()) : std::nullopt;
    if (!format) {
        tell(Error(ErrorCode::kInvalidArgument, "\\format takes one of table, csv, json, jsonl"));
        return;
    }
    print_.format = *format;
    print_.has_format = *format != OutputFormat::kTable;
}

void Shell::set_chart(const std::vector<std::string>& arguments) {
    const std::string how = arguments.size() == 1 ? arguments.front() : "";
    if (how == "auto") {
        print_.chart.reset();
    } else if (how == "on" || how == "off") {
        print_.chart = how == "on";
    } else {
        tell(Error(ErrorCode::kInvalidArgument, "\\chart takes one of auto, on, off"));
    }
}

void Shell::set_switch(std::string_view name, bool& is_on,
                       const std::vector<std::string>& arguments) {
    const std::string how = arguments.size() == 1 ? arguments.front() : "";
    if (how == "on" || how == "off") {
        is_on = how == "on";
    } else {
        tell(make_error(ErrorCode::kInvalidArgument, "{} takes on or off; it is {}", name,
                        is_on ? "on" : "off"));
    }
}

void Shell::set_pager(const std::vector<std::string>& arguments) {
    set_switch("\\pager", is_paged_, arguments);
}

void Shell::set_timing(const std::vector<std::string>& arguments) {
    set_switch("\\timing", is_timed_, arguments);
}

// --- Completion ---

std::vector<std::string> Shell::names_for(const CompletionPoint& point) {
    switch (point.kind) {
        case CompletionPoint::Kind::kRun:
        case CompletionPoint::Kind::kRunAlone:
            return names_.runs(point.word);
        case CompletionPoint::Kind::kStart:
        case CompletionPoint::Kind::kMetric:
            return names_.metrics(point.word);
        case CompletionPoint::Kind::kExpression:
        case CompletionPoint::Kind::kOfSeries:
            return names_.attributes(point.word);
        default:
            return {};
    }
}

Completions Shell::complete(std::string_view before_cursor) {
    const CompletionPoint point = find_completion_point(before_cursor);
    Completions found;
    found.replaced_bytes = point.word.size();
    found.words = known_words(point);
    std::ranges::copy(next_segments(names_for(point), point.word), std::back_inserter(found.words));
    return found;
}

// --- Lines ---

void Shell::greet() {
    fmt::print("StepDB " STEPDB_VERSION ", {}; \\help tells how to ask.\n",
               asked_.data.empty() ? asked_.server.address : asked_.data);
}

void Shell::run_typed() {
    greet();
    std::signal(SIGINT, SIG_IGN);  // between two lines it is nobody's
    std::string text;
    LineEditor editor(history_file(), [&](std::string_view before_cursor) {
        return complete(text + std::string(before_cursor));
    });
    while (!is_left_) {
        const auto line = editor.read(std::string(text.empty() ? kPrompt : kContinuedPrompt));
        if (!line) {
            fmt::print("\n");
            return;
        }
        if (line->is_cancelled) {
            text.clear();
            continue;
        }
        text += line->text;
        if (text.front() != '\\' && goes_on(text)) {
            text += ' ';
            continue;
        }
        if (text.find_first_not_of(' ') != std::string::npos) {
            editor.remember(text);
        }
        take(text);
        text.clear();
    }
}

Status Shell::run_script() {
    std::string text;
    std::string line;
    while (!is_left_ && std::getline(std::cin, line)) {
        text += (text.empty() ? "" : " ") + line;
        if (!text.empty() && text.front() != '\\' && goes_on(text)) {
            continue;
        }
        take(text);
        text.clear();
    }
    if (!is_left_) {
        take(text);
    }
    return failed_ ? Status()
                   : Status(Error(failed_.error().code(), "not all of the input went well"));
}

Status Shell::run() {
    if (!is_terminal_) {
        return run_script();
    }
    run_typed();
    return {};
}

}  // namespace

Command add_shell(CLI::App& stepdb) {
    auto asked = std::make_shared<Asked>();
    CLI::App* app = stepdb.add_subcommand("shell", "Ask queries one after the other, as you type");
    CLI::Option* format = add_asked_options(*app, *asked);
    add_examples(
        *app,
        {"stepdb shell", "stepdb shell --data ./store",
         "echo 'runs demo/*' | stepdb shell --format csv"},
        "A line is a query or a command: \\help lists them. Tab completes. Input that is no\n"
        "terminal is taken line by line; the exit status is 1 then if any of it failed.");
    return {app,
            [=]() -> Status {
                std::setlocale(LC_CTYPE, "");  // NOLINT(concurrency-mt-unsafe): before any thread
                PrintOptions print;
                TRY_ASSIGN(print.format, read_output_format(asked->format));
                print.has_format = format->count() > 0;
                std::signal(SIGPIPE, SIG_IGN);  // of a pager that was quit
                TRY_ASSIGN(const auto asker, Asker::open(*asked));
                Status status = Shell(*asker, *asked, print).run();
                TRY(asker->close());
                return status;
            },
            [=] { return check_asked(*asked); }};
}

}  // namespace stepdb
