// A writer for commands that go on for weeks beside a training job: it waits for its server, also
// for one that is not there yet, until a signal ends it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "clients/cpp/writer.h"
#include "engine/base/result.h"
#include "tools/stop_signals.h"

namespace stepdb {

// With `options`, but that it never gives up. After the signal it has kStopTime; then it is closed,
// and what waits for it is an error. `tell` hears, once, that the server is not there.
class PatientWriter {
  public:
    static constexpr std::chrono::seconds kStopTime{10};

    static Result<PatientWriter> connect(client::Options options, StopSignals& signals,
                                         const std::function<void(const std::string&)>& tell);
    ~PatientWriter();
    PatientWriter(PatientWriter&&) = default;
    PatientWriter& operator=(PatientWriter&&) = delete;
    PatientWriter(const PatientWriter&) = delete;
    PatientWriter& operator=(const PatientWriter&) = delete;

    client::Writer& operator*() const { return *writer_; }
    client::Writer* operator->() const { return writer_.get(); }

  private:
    PatientWriter(std::unique_ptr<client::Writer> writer, StopSignals& signals);

    std::unique_ptr<client::Writer> writer_;
    StopSignals* signals_;
};

}  // namespace stepdb
