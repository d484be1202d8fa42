// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "sampling": rows of what the kernel tells anyway, at each interval and at the end; no BPF
// program, nothing is attached.
#pragma once
#include "session/run.hpp"

namespace corebox
{

// Options: what the command line fills. Sampler: made from (const Options&, const Session&); fails
// where there is nothing to sample. Sampler::Row is what the columns read, and
// sample(const std::function<void(const Row&)>&) hands over those of now.
template <class Options, class Sampler>
struct Sampling {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<typename Sampler::Row> columns;
    std::span<const Need> needs{};
    Seconds interval;
    // After parsing: fails where options do not go together; may choose the columns.
    void (*prepare)(Options&, Session&) = nullptr;

    using Asked = Options;
    static constexpr Shared kShared = Shared::interval;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State {
            State(const Options& o, const Session& s) : sampler(o, s) {}

            Sampler sampler;
            Run* run = nullptr;

            void begin() { run->sink->header(); }
            void report(bool)
            {
                sampler.sample([this](const typename Sampler::Row& row) {
                    run->sink->row(&row);
                    run->account.printed++;
                });
                run->sink->flush();
            }
            void detach() {}
        };
        auto& o = *static_cast<Options*>(session->options.get());
        if (prepare)
            prepare(o, *session);
        auto state = std::make_unique<State>(o, *session);
        if (session->check)
            return nullptr;
        auto sink = make_sink(*session, columns.list);
        auto run = std::make_unique<Run>(std::move(session), std::move(sink), Account({}, {}));
        state->run = run.get();
        run->set_state(std::move(state));
        return run;
    }
};

} // namespace corebox
