// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "stacks": events, or what they are worth, summed by stack; printed as BCC does in blocks or
// folded lines, as rows, or drawn as a flame graph.
#pragma once
#include "abi/stacks.h"
#include "base/begins_with.hpp"
#include "session/transport.hpp"
#include "shape/generations.hpp"
#include "shape/stack_memo.hpp"
#include "shape/stack_options.hpp"
#include "shape/stack_row.hpp"
#include "shape/stack_words.hpp"
#include "symbols/image.hpp"
#include <optional>
#include <type_traits>

namespace corebox
{

// "PID [181]", "TID [7,9]", "make and its children", "all threads".
std::string traced_tasks(const Session& session);
// " for 10 secs." or "... Hit Ctrl-C to end."
std::string traced_time(const Session& session);

// What a tool does otherwise than all others.
struct StackLook {
    std::function<void(StackRow&, const stack_key&)> row; // before rows that read the same join
    std::function<void(std::string& out, const StackRow&)> block; // for append_block()
    std::function<void(Output&)> begin;                           // text: before each report
    // Makes the rows of a report, in place of those of the sums, and keeps the account itself.
    std::function<void(StackWords&, std::vector<StackRow>&)> take{};
    std::function<void(std::vector<StackRow>&)> sorted{}; // leaves out rows; the heaviest are last
};

// The part of the shape that does not depend on its types.
class StackReports
{
public:
    struct Maps {
        bpf_map *sums, *stacks, *spill, *tasks;
        __u32* generation;
        std::span<stack_memo> memos{}; // of tools that remember kernel stacks
    };

    // Notes what the traced processes have mapped: from here on they may end.
    StackReports(Run& run, const StackOptions& options, const StackUnit& unit, std::string banner,
                 const Maps& maps, StackLook look = {});

    int data_fd() const { return samples_.epoll_fd(); }
    void begin();
    bool drain();
    void report(bool last);

private:
    static void on_record(void* self, const void* record, std::size_t size) noexcept;
    // Rows view what it returns.
    Entries take_sums(StackWords& words, std::vector<StackRow>& rows, bool last);
    void print(const std::vector<StackRow>& rows);
    void draw(const std::vector<StackRow>& rows) const;
    // Text in BCC's form: with columns it is rows.
    Output* text() const;
    bool prints_blocks() const;

    Run& run_;
    const StackOptions& options_;
    const StackUnit unit_;
    const std::string banner_;
    Maps maps_;
    const StackLook look_;
    EventReader samples_;
    ImageSymbols symbols_;
    PendingImages pending_;
    StackMemos memos_;
};

template <class S>
concept HasStackMemos = requires(S* s)
{
    s->bss->cb_stack_memos;
};

// S: the skeleton of a BPF file that includes bpf/stacks.bpf.h. Options derives from StackOptions.
template <Skel S, BeginsWith<StackOptions> Options>
struct Stacks {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<StackRow> columns;
    std::span<const Need> needs;
    std::span<const Column> fields{}; // of an event, for --where (bpf/where.bpf.h)
    StackUnit unit{};
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    void (*setup)(S&, Options&, const Session&) = nullptr;
    // The line above the output: "Sampling at 99 Hertz of all threads ..."
    std::string (*banner)(const Options&, const Session&);

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = Shared::duration | filters_of<S>() | Shared::symbols;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Stacks> {
            using Traced<S, Options, Stacks>::Traced;
            std::optional<StackReports> reports;

            void started()
            {
                S& s = this->skeleton();
                std::span<stack_memo> memos;
                if constexpr (HasStackMemos<S>)
                    memos = s.bss->cb_stack_memos;
                reports.emplace(*this->run, this->options(), this->shape().unit,
                                this->shape().banner(this->options(), this->session()),
                                StackReports::Maps{s.maps.cb_stack_sums, s.maps.cb_stacks,
                                                   s.maps.cb_stacks_spill, s.maps.cb_stack_tasks,
                                                   &s.bss->cb_generation, memos});
            }
            int data_fd() const { return reports->data_fd(); }
            void begin() { reports->begin(); }
            bool drain() { return reports->drain(); }
            void report(bool last) { reports->report(last); }
        };
        auto state = std::make_unique<State>(*this, *session);
        check_stack_options(state->options());
        state->tracing.prepare();
        if (!state->tracing.attach([&](S& s) {
                prepare_stacks(state->options(), s.rodata->cb_stack, s.maps.cb_stack_sums,
                               s.maps.cb_stacks, s.maps.cb_stacks_spill);
            }))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }
};

} // namespace corebox
