// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "stacks": events, or what they are worth, summed by stack; printed as BCC does in blocks or
// folded lines, as rows, or drawn as a flame graph.
#pragma once
#include "abi/stacks.h"
#include "session/transport.hpp"
#include "shape/generations.hpp"
#include "shape/stack_memo.hpp"
#include "symbols/kernel.hpp"
#include "symbols/stack.hpp"
#include "symbols/user.hpp"
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <type_traits>
#include <unordered_map>

namespace corebox
{

// What the tools of this shape have in common. A tool's Options derives from it, and from nothing
// else: options are stored through a pointer to the whole.
struct StackOptions {
    bool kernel_only = false, user_only = false;
    bool delimited = false, folded = false, annotations = false, address = false;
    bool offset = false;
    bool threads = false;
    std::uint32_t storage = STACK_STORAGE, hash_storage = STACK_HASH_STORAGE;
    std::uint32_t depth = 0; // 0: as deep as the kernel goes, at most STACK_DEPTH
    std::string_view flame;
};

// Rows for the tools' tables of options.
namespace stack_option
{
inline constexpr Option user_only =
    flag<&StackOptions::user_only>('U', "user-stacks-only", "Show only user stacks");
inline constexpr Option kernel_only =
    flag<&StackOptions::kernel_only>('K', "kernel-stacks-only", "Show only kernel stacks");
inline constexpr Option delimited = flag<&StackOptions::delimited>(
    'd', "delimited", "Print a delimiter between kernel and user stacks");
inline constexpr Option folded =
    flag<&StackOptions::folded>('f', "folded", "Print one line per stack, for flame graphs");
inline constexpr Option annotations =
    flag<&StackOptions::annotations>('a', "annotations", "Append _[k] to kernel frames");
inline constexpr Option address = flag<&StackOptions::address>(
    'A', "address", "Show addresses, and keep different ones separate");
inline constexpr Option offset =
    flag<&StackOptions::offset>('s', "offset", "Print offsets within functions");
inline constexpr Option threads =
    flag<&StackOptions::threads>(0, "per-thread", "Show each thread of a process separately");
inline constexpr Option storage = opt<&StackOptions::storage>(
    0, "stack-storage-size", "STACKS", "Limit the number of stacks (default: 16384)", {1, 1 << 22});
inline constexpr Option hash_storage = opt<&StackOptions::hash_storage>(
    0, "hash-storage-size", "KEYS", "Limit the number of table rows (default: 40960)",
    {1, 1 << 24});
inline constexpr Option depth = opt<&StackOptions::depth>(
    0, "perf-max-stack-depth", "FRAMES", "Limit the frames of a stack (default: 127)", {1, 4096});
inline constexpr Option flame = opt<&StackOptions::flame>(
    0, "flame", "FILE", "Draw a flame graph (SVG) into FILE", {}, {}, "file");
} // namespace stack_option

// One stack in words. Views live as long as the symbols they came from.
struct Frames {
    enum class State : std::uint8_t { there, none, lost, unwanted } state = State::none;
    std::vector<std::string_view> names; // leaf first
    std::vector<FrameKind> kinds;
    // With -A: "0xffffffff81000000 name+0x1f [module]"; with -s: "name+0x1f"
    std::vector<std::string_view> details;

    bool operator==(const Frames&) const = default;
};
inline const Frames kNoFrames{};

// The task at the other end, of tools that tell of two (who woke it). Views as in a row.
struct StackPartner {
    std::string_view comm; // empty: there was none
    std::uint32_t pid = 0, tid = 0;
    const Frames* kernel = &kNoFrames;
    const Frames* user = &kNoFrames;
};

struct StackRow {
    std::string_view comm;
    std::uint32_t pid = 0, tid = 0;
    std::uint64_t events = 0, total = 0;
    std::string_view event{}; // of a tool that counts several (StackLook::row)
    const Frames* kernel = nullptr;
    const Frames* user = nullptr;
    std::uint32_t detail = 0; // stack_key::detail
    StackPartner partner{};

    // A stack as a column: null where it was lost or not taken, empty where there is none.
    static Value names(const Frames& frames);
    static Value details(const Frames& frames);
};

// Rows for the tools' tables of columns.
namespace stack_column
{
inline constexpr Column comm = col<&StackRow::comm>("comm", "COMM", 16, "Command name");
inline constexpr Column pid = col<&StackRow::pid>("pid", "PID", 7, "Process ID");
inline constexpr Column tid =
    col<&StackRow::tid>("tid", "TID", 7, "Thread ID", costly("per-thread"));
inline constexpr Column kernel = col<[](const StackRow& r) { return StackRow::names(*r.kernel); }>(
    "kernel", "KERNEL", 0, "Kernel functions, leaf first", without("user-stacks-only"));
inline constexpr Column user = col<[](const StackRow& r) { return StackRow::names(*r.user); }>(
    "user", "USER", 0, "User functions, leaf first", without("kernel-stacks-only"));
inline constexpr Column kernel_address =
    col<[](const StackRow& r) { return StackRow::details(*r.kernel); }>(
        "kernel_address", "KERNEL-ADDRESS", 0, "The same functions with addresses",
        costly("address"));
inline constexpr Column user_address =
    col<[](const StackRow& r) { return StackRow::details(*r.user); }>(
        "user_address", "USER-ADDRESS", 0, "The same functions with addresses", costly("address"));
} // namespace stack_column

class StackWords;
struct StackUnit;

// BCC's block: frames leaf first, process, weight, empty line.
void append_block(std::string& out, const StackRow& row, const StackOptions& options,
                  const StackUnit& unit);
// BCC's folded line.
void append_folded(std::string& out, const StackRow& row, const StackOptions& options,
                   const StackUnit& unit);
// The frames of a flame graph, outermost first: process, user, kernel. `names` keeps what is made.
void flame_frames(std::vector<StackFrame>& frames, const StackRow& row, const StackOptions& options,
                  std::deque<std::string>& names);
// Adds a stack, leaf first or the outermost first, or what stands for one that was lost.
void append_stack(std::vector<StackFrame>& frames, const Frames& stack, std::string_view missed,
                  bool outermost_first);
// A folded line of what a tool's own flame_frames() gives.
void append_folded_flame(std::string& out, const StackRow& row, const StackOptions& options,
                         const StackUnit& unit, decltype(&flame_frames) frames);
// Fills all of a row but its weight; `key` is what the tool counts under, a stack_key or what
// begins with one. False: a stack was lost. `as_rows`: columns are printed, not BCC's text.
bool read_stack_key(const void* key, StackWords& words, StackRow& row, const StackOptions& options,
                    bool as_rows);

// How a tool of this shape counts, and what is its own in the printing.
struct StackUnit {
    std::string_view name = "samples"; // plural, for the flame graph
    bool total = false;                // what is printed: stack_value::total, not ::events
    std::uint64_t divisor = 1;         // of the total: 1000 for microseconds
    bool sampled = false; // stacks of the interrupted code: no frames of our own on top
    decltype(&read_stack_key) read = read_stack_key;
    void (*block)(std::string&, const StackRow&, const StackOptions&,
                  const StackUnit&) = append_block;
    void (*folded)(std::string&, const StackRow&, const StackOptions&,
                   const StackUnit&) = append_folded;
    decltype(&flame_frames) flame = flame_frames;
};

inline std::uint64_t stack_weight(const StackRow& row, const StackUnit& unit)
{
    return unit.total ? row.total / unit.divisor : row.events;
}

// Joins rows that read the same, and sorts them by weight, the heaviest last.
void merge_stacks(std::vector<StackRow>& rows, const StackUnit& unit);

// One line a frame, indented, leaf first or the outermost first. `missed`: what stands for a stack
// that was lost.
void append_frames(std::string& out, const Frames& frames, std::string_view missed,
                   bool outermost_first = false, std::string_view kernel_suffix = {});
inline constexpr std::string_view kMissedKernel = "[Missed Kernel Stack]";
inline constexpr std::string_view kMissedUser = "[Missed User Stack]";

// "PID [181]", "TID [7,9]", "make and its children", "all threads".
std::string traced_tasks(const Session& session);
// " for 10 secs." or "... Hit Ctrl-C to end."
std::string traced_time(const Session& session);

// What a tool does otherwise than all others.
struct StackLook {
    std::function<void(StackRow&, const stack_key&)> row; // before rows that read the same join
    std::function<void(std::string& out, const StackRow&)> block; // for append_block()
    std::function<void(Output&)> begin; // text: before each report
};

// Puts `text` in the place of the file: whole or, on failure, not at all. What is no regular file
// (a pipe, /dev/stdout) is written to. Fails with Exit::output.
void replace_file(const std::string& path, std::string_view text);

// User symbols of processes that may become other programs (exec) or give their number to another
// process: a name is only ever looked up in the program that the stack was taken from.
class ImageSymbols
{
public:
    // Takes down what a process has mapped, if it still is that program; at most ten times a second
    // for each. False: later.
    bool note(stack_task task);
    // What it is now; 0 where that cannot be known.
    static std::uint32_t image(std::uint32_t pid);

    UserFrame lookup(stack_task task, std::uint64_t address, At at);

private:
    struct Image {
        std::uint32_t image;
        std::uint64_t noted_ns = 0; // 0: never
    };
    std::size_t layer(stack_task task);

    std::unordered_map<std::uint32_t, std::vector<Image>> processes_;
    // A process's first program is looked up in the first, its second in the second ...
    std::vector<UserSymbols> layers_;
};

// The stacks of map entries in words. Kernel symbols are read when the first stack needs them.
class StackWords
{
public:
    StackWords(const StackOptions& options, const StackUnit& unit, ImageSymbols& user,
               bpf_map* stacks, bpf_map* spill);

    const Frames* kernel(std::int32_t id);
    const Frames* user(stack_task task, std::int32_t id);
    // Of a kernel stack that was taken in an interrupt: the frames of that, without those of what
    // was interrupted. Null if it was taken in none.
    const Frames* interrupt(const Frames& kernel);
    // There were kernel stacks, but the kernel does not tell us its symbols.
    bool kernel_hidden() const { return kernel_symbols_ && kernel_symbols_->restricted(); }

private:
    std::string_view keep(std::string text) { return arena_.emplace_back(std::move(text)); }
    static Frames missing(std::int32_t id, bool wanted);

    const StackOptions& options_;
    const StackUnit& unit_;
    ImageSymbols& symbols_;
    bpf_map* stacks_;
    bpf_map* spill_;
    std::optional<KernelSymbols> kernel_symbols_;
    std::unordered_map<std::int32_t, Frames> kernel_;
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::int32_t>, Frames> user_;
    std::unordered_map<const Frames*, Frames> interrupts_;
    std::deque<std::string> arena_;
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
    void on_task(const stack_task& task);
    void remember_tasks();
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
    std::vector<stack_task> tasks_; // seen by the kernel side, to be noted
    StackMemos memos_;
};

// Addresses leaf first; nothing where the stack cannot be read.
std::vector<__u64> read_stack(const bpf_map* stacks, const bpf_map* spill, std::int32_t id);

template <class S>
concept HasStackMemos = requires(S* s)
{
    s->bss->cb_stack_memos;
};

// Fails with a usage error where options exclude each other.
void check_stack_options(const StackOptions& options);
// Before load: which stacks are taken, and the maps' sizes.
void prepare_stacks(const StackOptions& options, stacks_config& config, bpf_map* sums,
                    bpf_map* stacks, bpf_map* spill);

// S: the skeleton of a BPF file that includes bpf/stacks.bpf.h. Options derives from StackOptions.
template <Skel S, class Options>
struct Stacks {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<StackRow> columns;
    std::span<const Need> needs;
    StackUnit unit{};
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    void (*setup)(S&, Options&, const Session&) = nullptr;
    // The line above the output: "Sampling at 99 Hertz of all threads ..."
    std::string (*banner)(const Options&, const Session&);

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared =
        Shared::duration | (HasFilter<S> ? Shared::filter : Shared::none) | Shared::symbols;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        static_assert(std::is_base_of_v<StackOptions, Options>);
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
        const auto state = std::make_shared<State>(*this, *session);
        check_stack_options(state->options());
        state->tracing.prepare();
        if (!state->tracing.attach([&](S& s) {
                prepare_stacks(state->options(), s.rodata->cb_stack, s.maps.cb_stack_sums,
                               s.maps.cb_stacks, s.maps.cb_stacks_spill);
            }))
            return nullptr;
        return make_run(state, std::move(session), make_sink, columns.list);
    }
};

} // namespace corebox
