// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "stacks": events, or what they are worth, summed by stack; printed as BCC does in blocks or
// folded lines, as rows, or drawn as a flame graph.
#pragma once
#include "abi/stacks.h"
#include "base/begins_with.hpp"
#include "probe/launch.hpp"
#include "shape/interval.hpp"
#include "shape/stack_memo.hpp"
#include "shape/stack_options.hpp"
#include "shape/stack_row.hpp"
#include "shape/stack_words.hpp"
#include "symbols/image.hpp"
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
    std::function<void(Output&)> begin;                           // before each report
};

// The part of the shape that does not depend on its types.
class StackRun
{
public:
    struct Maps {
        bpf_map *sums, *stacks, *spill, *tasks;
        __u32* generation;
        std::span<stack_memo> memos{}; // of tools that remember kernel stacks
    };

    StackRun(const Session& session, std::span<const Column> columns, const StackOptions& options,
             const StackUnit& unit, std::string banner, Account& account, const Maps& maps,
             StackLook look = {});

    Exit run(Command& command, const std::function<void()>& detach);

private:
    static void on_record(void* self, const void* record, std::size_t size) noexcept;
    void on_task(const stack_task& task);
    void remember_tasks();
    void report(bool last);
    void print(const std::vector<StackRow>& rows);
    void draw(const std::vector<StackRow>& rows) const;
    bool as_rows() const;
    bool as_blocks() const;

    const Session& session_;
    const StackOptions& options_;
    const StackUnit unit_;
    const std::string banner_;
    Account& account_;
    Maps maps_;
    const StackLook look_;
    Output output_;
    ImageSymbols symbols_;
    std::vector<stack_task> tasks_; // told by the kernel side, to be noted
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
    StackUnit unit{};
    // After parsing: what this tool's options exclude.
    void (*check)(Options&, const Session&) = nullptr;
    // Before load, for each try.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    // The line above the output: "Sampling at 99 Hertz of all threads ..."
    std::string (*banner)(const Options&, const Session&);

    using Skeleton = S;
    static constexpr Shared kShared =
        Shared::duration | (HasFilter<S> ? Shared::filter : Shared::none) | Shared::symbols;

    int run(const Tool& tool, int argc, char** argv) const
    {
        static_assert(std::is_base_of_v<StackOptions, Options>);
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            parse_command_line(session, &o, argc, argv);
            check_stack_options(o);
            if (check)
                check(o, session);
            Command command(session);
            auto a = launch<S>(session, command, needs, [&](S& s) {
                prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_stack_sums, s.maps.cb_stacks,
                               s.maps.cb_stacks_spill);
                if (setup)
                    setup(s, o, session);
            });
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            std::span<stack_memo> memos;
            if constexpr (HasStackMemos<S>)
                memos = a->bss->cb_stack_memos;
            StackRun run(session, columns.list, o, unit, banner(o, session), account,
                         {a->maps.cb_stack_sums, a->maps.cb_stacks, a->maps.cb_stacks_spill,
                          a->maps.cb_stack_tasks, &a->bss->cb_generation, memos});
            return run.run(command, [&] { a.detach(); });
        });
    }
};

} // namespace corebox
