// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "calls": how often each of many functions was called, or tracepoints were hit
// (bpf/functions.bpf.h), the rarest first; one row for each that was, at the end or for each
// interval.
#pragma once
#include "probe/functions.hpp"
#include "shape/tracing.hpp"
#include <optional>

namespace corebox
{

// What the columns read.
struct CallRow {
    std::uint64_t time_ns = 0;     // end of the interval, CLOCK_MONOTONIC
    std::uint64_t interval_ns = 0; // its real length
    const Point* function = nullptr;
    std::uint64_t calls = 0;
};

// The counters of the kernel side, mapped. They only grow: an interval is the difference of two
// readings, and loses nothing.
class CallCounts
{
public:
    // `skipped`: calls that the kernel did not run the program for count too.
    CallCounts(const bpf_map* map, std::size_t cpus, const FunctionProbes& probes, bool skipped);
    ~CallCounts();
    CallCounts(const CallCounts&) = delete;
    CallCounts& operator=(const CallCounts&) = delete;

    // Functions that were called since the last reading, the rarest first.
    const std::vector<CallRow>& read();

private:
    const FunctionProbes& probes_;
    std::size_t cpus_, bytes_;
    bool skipped_;
    const std::uint64_t* counts_;
    std::vector<std::uint64_t> then_;
    std::uint64_t then_ns_;
    std::vector<CallRow> rows_;
};

// Text: a blank line between reports, the time with --timestamp, the header.
void begin_calls(const Session& session, Sink& sink, std::uint64_t time_ns, bool first);

template <class S>
concept HasCalls = requires(S* s)
{
    s->maps.cb_calls;
    s->maps.cb_function_ids;
    s->rodata->cb_functions;
};

// S: the skeleton. Options: what the command line fills; has a member `FunctionProbes* probes`; if
// the BPF side has a `cfg`, it derives from its type.
template <Skel S, class Options>
requires HasCalls<S>
struct Calls {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<CallRow> columns;
    std::span<const Need> needs;
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    // Which functions; fails with a usage error where the pattern is malformed.
    std::vector<Point> (*points)(const Options&, const Session&);
    // BCC's line above the text: "Tracing 3 functions for ..."
    std::string (*banner)(const Options&, const FunctionProbes&) = nullptr;
    void (*setup)(S&, Options&, const Session&) = nullptr;
    std::span<const Column> fields{}; // that --where may name; prepare() takes the condition then
    // Once the points are known: which probes this run has of those that they need.
    std::span<const Need> (*narrow)(Options&, Session&, std::span<const Need>) = nullptr;

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = Shared::every | filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Calls> {
            using Traced<S, Options, Calls>::Traced;
            std::optional<FunctionProbes> probes;
            std::optional<CallCounts> counts;
            const std::vector<CallRow>* rows = nullptr;
            bool first = true;

            // With a filter it is not known whose calls were skipped.
            bool narrowed() const
            {
                return is_filtered(this->session()) || this->session().given("cpu") ||
                       this->session().given("where");
            }
            void started()
            {
                counts.emplace(this->skeleton().maps.cb_calls,
                               std::size_t(libbpf_num_possible_cpus()), *probes, !narrowed());
            }
            void begin()
            {
                Output* const text = text_output(this->sink());
                if (text && this->shape().banner)
                    text->text() += cat(this->shape().banner(this->options(), *probes), "\n");
            }
            void detach()
            {
                rows = &counts->read(); // detaching takes its time
                if (narrowed())
                    this->account().nested = probes->skipped();
                this->tracing.detach(this->account());
                probes->detach();
            }
            void report(bool last)
            {
                if (!last)
                    rows = &counts->read();
                begin_calls(this->session(), this->sink(), monotonic_ns(), first);
                first = false;
                for (const CallRow& row : *rows) {
                    this->account().printed += row.calls;
                    this->sink().row(&row);
                }
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        auto& tracing = state->tracing;
        tracing.prepare();
        // Of a command's children it is not known which files they map.
        state->probes.emplace(points(tracing.options(), *session),
                              session->pids.size() == 1 ? session->pids[0] : 0);
        FunctionProbes& probes = *state->probes;
        if (probes.functions().empty())
            fail("cannot find a traceable function that matches the pattern", ENOENT,
                 "tplist lists what this system has");
        tracing.options().probes = &probes;
        std::span<const Need> need = point_need(needs, probes);
        if (narrow)
            need = narrow(tracing.options(), *session, need);
        tracing.attach_needs(
            need,
            [&](S& s) {
                const auto cpus = std::size_t(libbpf_num_possible_cpus());
                s.rodata->cb_functions = {__u32(probes.functions().size()), __u32(cpus)};
                bpf_map__set_max_entries(s.maps.cb_calls, __u32(probes.functions().size() * cpus));
                prepare_points(s, probes);
            },
            [](S&, bool) {});
        if (session->explain || probes.attached() != probes.functions().size())
            say(session->tool, functions_told(probes));
        if (session->check)
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }

private:
    static std::string functions_told(const FunctionProbes& probes)
    {
        const std::size_t all = probes.functions().size();
        return probes.attached() == all ? cat(all, " functions")
                                        : cat(probes.attached(), " of ", all,
                                              " functions; the others cannot be traced here");
    }
};

} // namespace corebox
