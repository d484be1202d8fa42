// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/host.hpp"
#include "session/later_files.hpp"
#include "session/privileges.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::uint64_t kSecond = 1'000'000'000;

// Whether the run that takes keys may have those of the terminal: a command's keys are its own, and
// two runs cannot share them.
bool takes_keys(const Run& run, std::size_t runs)
{
    return runs == 1 && run.takes_keys && run.session->tree_root == 0;
}

} // namespace

void Host::fork_command(Session& session)
{
    if (session.command.empty())
        return;
    if (command_)
        fail_usage("more than one '-- COMMAND'");
    command_.emplace(session.command);
    session.tree_root = command_->pid();
}

std::unique_ptr<Sink> Host::make_sink(const Session& session, std::span<const Column> columns)
{
    return std::make_unique<Output>(session.output_options(), columns);
}

// Whoever waited for this may at once end a target or this process: all is watched already.
void Host::announce() const
{
    for (const Hosted& hosted : runs_) {
        const Session& session = *hosted.run->session;
        say(session.tool, "tracing; Ctrl-C ends");
        if (session.ready_fd < 0)
            continue;
        if (::write(session.ready_fd, "\n", 1) != 1)
            fail(cat("cannot write to --ready-fd ", session.ready_fd), errno);
        ::close(session.ready_fd);
    }
}

// Probes that are attached and cannot fire, or can again.
void Host::report_silence(Run& run, std::uint64_t now_ns)
{
    FtraceWatch& ftrace = run.account.ftrace;
    if (!ftrace.look(now_ns))
        return;
    const Tool& tool = run.session->tool;
    if (!ftrace.is_silent())
        return say(tool, "probes fire again");
    const Obstacle o = ftrace_obstacle(read_ftrace());
    Clock clock(run.session->utc);
    say(tool, cat("events are missing since ", clock.time_of_day(clock.wall_ns(ftrace.since_ns())),
                  ": ", o.text(), "; ", o.fix()));
}

void Host::report_losses(Hosted& hosted)
{
    const std::uint64_t now = monotonic_ns();
    if (now - hosted.reported_ns < kSecond)
        return;
    hosted.reported_ns = now;
    report_silence(*hosted.run, now);
    const Lost lost = hosted.run->account.lost();
    if (lost == hosted.reported)
        return;
    hosted.reported = lost;
    const Tool& tool = hosted.run->session->tool;
    say(tool, cat(describe(lost), " so far", loss_hint(tool, lost)));
    hosted.run->sink->loss(lost);
}

// False: the run is to end.
bool Host::serve(Hosted& hosted, Loop::Wake wake, Keys& keys)
{
    Run& run = *hosted.run;
    bool goes_on = wake != Loop::Wake::stop;
    if (LaterFiles* later = run.session->later.get())
        later->look();
    hosted.more = run.drain();
    if (wake == Loop::Wake::key)
        while (const char key = keys.next())
            goes_on &= run.press(key);
    if (wake == Loop::Wake::tick)
        goes_on &= ++hosted.reports != run.session->count;
    goes_on &= !run.is_complete();
    goes_on &= !run.out_of_memory;
    if (goes_on && wake == Loop::Wake::tick)
        run.report(false);
    if (goes_on) {
        run.sink->flush();
        report_losses(hosted);
        goes_on = run.sink->state() == Sink::State::open;
    }
    return goes_on;
}

Exit Host::end(Hosted& hosted, Keys& keys)
{
    Run& run = *hosted.run;
    hosted.ended = true;
    keys.release();
    run.detach();
    if (run.sink->state() != Sink::State::open)
        run.account.unread += run.count_unread();
    while (run.sink->state() == Sink::State::open && run.drain())
        continue;
    run.report(true);
    report_losses(hosted);
    report_silence(run, monotonic_ns());
    const Totals totals = run.account.totals();
    run.sink->account(totals);
    run.sink->flush();
    run.sink->notice_closed();
    if (run.sink->state() == Sink::State::closed)
        return Exit::complete; // what nobody reads is not lost
    const Tool& tool = run.session->tool;
    say(tool, describe(totals));
    if (totals.silent_ns)
        say(tool, cat("probes did not fire for up to ", totals.silent_ms(),
                      " ms; the account does not include these events"));
    if (run.sink->state() == Sink::State::failed) {
        say(tool,
            cat("cannot write to ", run.sink->target(), ": ", strerrordesc_np(run.sink->error())));
        return Exit::output;
    }
    if (run.out_of_memory) {
        say(tool, "out of memory");
        return Exit::cannot_run;
    }
    return totals.lost.total() || totals.silent_ns ? Exit::lost : Exit::complete;
}

Exit Host::run()
{
    Loop loop;
    std::vector<const Session*> sessions;
    Keys keys(takes_keys(*runs_.front().run, runs_.size()));
    for (const Hosted& hosted : runs_) {
        loop.add(*hosted.run->session, hosted.run->data_fd);
        sessions.push_back(hosted.run->session.get());
    }
    loop.watch_keys(keys, 0);
    drop_privileges(sessions);
    announce();
    for (const Hosted& hosted : runs_) {
        hosted.run->begin();
        hosted.run->sink->flush();
    }
    if (command_)
        command_->start();
    Exit worst = Exit::complete;
    for (std::size_t left = runs_.size(); left > 0;) {
        const bool more = std::ranges::any_of(runs_, &Hosted::more);
        const auto wakes = more ? loop.poll() : loop.wait();
        for (std::size_t i = 0; i < runs_.size(); i++) {
            Hosted& hosted = runs_[i];
            if (hosted.ended || serve(hosted, wakes[i], keys))
                continue;
            worst = std::max(worst, end(hosted, keys));
            hosted.more = false;
            loop.remove(i);
            left--;
        }
    }
    return worst;
}

} // namespace corebox
