// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What all shapes do alike: from what was asked for to attached programs, and back.
//
// A shape is a constexpr description. These of its members, each of which it may lack or leave
// null, are called in this order:
//   prepare(Options&, Session&)   what the command line says is put to order; fails where options
//                                 exclude each other
//   targets(const Options&)       what the slots of the programs' sections stand for
//   chosen(const Options&)        those of its needs that this run has
//   setup(S&, Options&, const Session&)          before load, for each try
//   resolved(S&, const Launcher&)                the rungs are chosen, before load, for each try
//   attached(const Options&, const Session&)
//   ending(S&, Options&)          before the programs are detached
//   detached(S&, Options&, Account&)             and after
#pragma once
#include "base/begins_with.hpp"
#include "probe/launch.hpp"
#include "session/run.hpp"

namespace corebox
{

template <Skel S, class Options, class Shape>
class Tracing
{
public:
    // `shape` lives as long as the program, `session` as long as the run.
    Tracing(const Shape& shape, Session& session)
        : shape_(shape), session_(session), options_(*static_cast<Options*>(session.options.get()))
    {
    }

    Options& options() const { return options_; }
    S& skeleton() const { return *attachment_.skeleton; }
    Account make_account()
    {
        return {attachment_.account(), std::move(attachment_.programs), attachment_.on_ftrace};
    }
    std::vector<const bpf_program*>& programs() { return attachment_.programs; }

    // First, and once.
    void prepare()
    {
        if constexpr (requires { shape_.prepare; })
            if (shape_.prepare)
                shape_.prepare(options_, session_);
        if constexpr (requires { shape_.targets; })
            if (shape_.targets)
                session_.targets = shape_.targets(options_);
        prepare_where(
            session_, where_of(shape_), !requires { Shape::kRowsAreEvents; });
    }

    // `before_load(S&)` and `open_buffers(S&, bool perf)` are the shape's own part, as of
    // launch(). False: nothing is left to do, the user only asked whether the tool can run.
    template <class BeforeLoad, class OpenBuffers = void (*)(S&, bool)>
    bool attach(
        BeforeLoad&& before_load, OpenBuffers&& open_buffers = [](S&, bool) {})
    {
        attach_needs(needs(), before_load, open_buffers);
        return !session_.check;
    }
    template <class BeforeLoad, class OpenBuffers>
    void attach_needs(std::span<const Need> needs, BeforeLoad&& before_load,
                      OpenBuffers&& open_buffers)
    {
        prepare_later_files(session_);
        attachment_ = launch<S>(
            session_, needs,
            [&](S& s) {
                before_load(s);
                if constexpr (requires { shape_.setup; })
                    if (shape_.setup)
                        shape_.setup(s, options_, session_);
                if constexpr (requires { s.rodata->cfg = options_; }) {
                    static_assert(
                        BeginsWith<Options, std::remove_cvref_t<decltype(s.rodata->cfg)>>);
                    s.rodata->cfg = options_;
                }
            },
            open_buffers,
            [&](S& s, const Launcher& launcher) {
                if constexpr (requires { shape_.resolved; })
                    if (shape_.resolved)
                        shape_.resolved(s, launcher);
            });
        if constexpr (requires { shape_.attached; })
            if (shape_.attached)
                shape_.attached(options_, session_);
    }

    void detach(Account& account)
    {
        if constexpr (requires { shape_.ending; })
            if (shape_.ending)
                shape_.ending(skeleton(), options_);
        attachment_.detach();
        session_.later->detach();
        account.unreturned = attachment_.unreturned();
        if constexpr (requires { shape_.detached; })
            if (shape_.detached)
                shape_.detached(skeleton(), options_, account);
    }

    const Shape& shape() const { return shape_; }

private:
    std::span<const Need> needs() const
    {
        if constexpr (requires { shape_.chosen; })
            if (shape_.chosen)
                return shape_.chosen(options_);
        return shape_.needs;
    }

    const Shape& shape_;
    Session& session_;
    Options& options_;
    Attachment<S> attachment_;
};

// What the state of every shape's run has. The shape's own state derives from it and has those of
// the functions of Run that it needs: begin(), drain(), count_unread(), report(last), press(key),
// is_complete(), and detach() in place of this one; started() once all is attached and nothing else
// happened yet.
template <Skel S, class Options, class Shape>
struct Traced {
    Traced(const Shape& shape, Session& session) : tracing(shape, session) {}

    const Shape& shape() const { return tracing.shape(); }
    S& skeleton() const { return tracing.skeleton(); }
    Options& options() const { return tracing.options(); }
    const Session& session() const { return *run->session; }
    Sink& sink() const { return *run->sink; }
    Account& account() const { return run->account; }
    void detach() { tracing.detach(run->account); }

    Tracing<S, Options, Shape> tracing;
    Run* run = nullptr; // set by make_run()
};

// The run of a state whose programs are attached.
template <class State>
std::unique_ptr<Run> make_run(std::unique_ptr<State> state, std::unique_ptr<Session> session,
                              const SinkMaker& make_sink, std::span<const Column> columns)
{
    auto sink = make_sink(*session, columns);
    auto run =
        std::make_unique<Run>(std::move(session), std::move(sink), state->tracing.make_account());
    state->run = run.get();
    if constexpr (requires { state->started(); })
        state->started();
    if constexpr (requires { state->data_fd(); })
        run->data_fd = state->data_fd();
    if constexpr (requires { state->takes_keys(); })
        run->takes_keys = state->takes_keys();
    run->set_state(std::move(state));
    return run;
}

} // namespace corebox
