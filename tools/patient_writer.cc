#include "tools/patient_writer.h"

#include <utility>

namespace stepdb {

namespace {

// Servers are restarted and machines moved.
constexpr std::chrono::hours kPatience(10 * 365 * 24);
constexpr std::chrono::seconds kServerRetryTime(2);

}  // namespace

PatientWriter::PatientWriter(std::unique_ptr<client::Writer> writer, StopSignals& signals)
    : writer_(std::move(writer)), signals_(&signals) {
    client::Writer* const held = writer_.get();
    signals.when_overdue(kStopTime, [held] { static_cast<void>(held->close()); });
}

PatientWriter::~PatientWriter() {
    if (writer_ != nullptr) {
        signals_->when_overdue(kStopTime, nullptr);
    }
}

Result<PatientWriter> PatientWriter::connect(client::Options options, StopSignals& signals,
                                             const std::function<void(const std::string&)>& tell) {
    options.give_up_time = kPatience;
    options.close_time_max = std::chrono::seconds(1);
    for (bool is_told = false;; is_told = true) {
        Result<std::unique_ptr<client::Writer>> writer = client::Writer::connect(options);
        if (writer) {
            return PatientWriter(std::move(*writer), signals);
        }
        if (writer.error().code() != ErrorCode::kUnavailable) {
            return writer.error();
        }
        if (!is_told) {
            tell(writer.error().message() + "; it is tried again");
        }
        if (signals.wait(kServerRetryTime)) {
            return writer.error();
        }
    }
}

}  // namespace stepdb
