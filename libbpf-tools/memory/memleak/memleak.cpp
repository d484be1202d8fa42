// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "memleak.h"
#include "../allocators.hpp"
#include "output/escape.hpp"
#include "shape/stacks.hpp"
#include <map>
#include <set>
#include <tuple>
#include <unistd.h>

#include "memleak.skel.h"

namespace
{
using namespace corebox;
using P = decltype(memleak_bpf::progs);

enum class By : std::uint8_t { size, count };

struct Options : StackOptions {
    std::vector<std::string_view> objects;
    std::string_view prefix;
    std::uint64_t older_ms = 500, min_size = 0, max_size = ~0ull;
    std::uint32_t sample = 1, top = 10;
    By by = By::size;
    bool addresses = false, combined = false, wa_missing_free = false;
    bool percpu = false, kernel = false, sums = false;

    std::shared_ptr<const AllocatorSites> sites{}; // of user space
};

constexpr Example kExamples[] = {
    {"memleak -p 181", "Print what process 181 allocates and does not free, every 5 s"},
    {"memleak -p 181 10 3", "Print three reports, one every 10 seconds"},
    {"memleak -o 60000 -T 5 -p 181", "Show only what is older than a minute, five stacks"},
    {"memleak -- ./server --once", "Trace a command, from its first allocation to its end"},
    {"memleak --cgroup /sys/fs/cgroup/system.slice/web.service",
     "Trace all processes of a service"},
    {"memleak -p 181 -O /opt/app/libjemalloc.so.2 -S je_", "Trace the je_ functions of a library"},
    {"memleak", "Trace the kernel's allocations"},
    {"memleak -P", "Trace the kernel's per-CPU allocations"},
    {"memleak --allocated -p 181", "Sum the bytes that process 181 allocates, by stack"},
    {"memleak --flame leak.svg -p 181", "Draw a flame graph of what is not freed"},
};

constexpr Alias kAliases[] = {
    {"mallocstacks", {"--allocated"}, "Sum the bytes that programs allocate, by stack"},
};

constexpr Option kOptions[] = {
    flag<&Options::addresses>('a', "show-allocs", "Print the address and size of each allocation"),
    opt<&Options::older_ms>('o', "older", "MS", "Skip allocations younger than this (default: 500)",
                            {0, std::int64_t(1) << 40}),
    opt<&Options::top>('T', "top", "N", "Print only the N largest stacks (default: 10)", kPositive),
    opt<&Options::min_size>('z', "min-size", "BYTES", "Skip smaller allocations",
                            {0, std::numeric_limits<std::int64_t>::max()}),
    opt<&Options::max_size>('Z', "max-size", "BYTES", "Skip larger allocations",
                            {0, std::numeric_limits<std::int64_t>::max()}),
    opt<&Options::sample>('s', "sample-rate", "N", "Trace one of N addresses (default: 1)",
                          kPositive),
    choice<&Options::by>(0, "sort", "size|count", "Sort by bytes or number (default: size)"),
    flag<&Options::combined>('C', "combined-only", "Print only totals, of allocations of any age"),
    opt<&Options::objects>('O', "obj", "LIB,...", "Trace the allocators in these files", {}, {},
                           "file"),
    opt<&Options::prefix>('S', "symbols-prefix", "TEXT", "Trace functions with this prefix: je_"),
    flag<&Options::kernel>('k', "kernel", "Trace the kernel's allocators, even with filters"),
    flag<&Options::percpu>('P', "percpu", "Trace only the kernel's per-CPU allocator"),
    flag<&Options::wa_missing_free>('F', "wa-missing-free", "Accept BCC's option; always so"),
    flag<&Options::sums>(0, "allocated", "Sum allocated bytes by stack, freed or not"),
    stack_option::folded,
    stack_option::flame,
    flag<&StackOptions::annotations>(0, "annotations", "Append _[k] to kernel frames"),
    stack_option::address,
    flag<&StackOptions::offset>(0, "offset", "Print offsets within functions"),
    opt<&StackOptions::hash_storage>(0, "hash-storage-size", "N",
                                     "Limit the allocations kept (default: 524288)", {1, 1 << 24}),
    stack_option::storage,
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'c', "command"}};

constexpr std::string_view kFunctions[LEAK_FUNCTIONS] = {"-",
                                                         "malloc",
                                                         "new",
                                                         "calloc",
                                                         "realloc",
                                                         "reallocarray",
                                                         "posix_memalign",
                                                         "aligned_alloc",
                                                         "mmap",
                                                         "mremap",
                                                         "kmalloc",
                                                         "kmem_cache",
                                                         "pages",
                                                         "percpu"};

constexpr Column kColumns[] = {
    col<[](const StackRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                               "Time of the report"),
    col<&StackRow::total>("bytes", "BYTES", -12, "Bytes not freed; with --allocated, all bytes"),
    col<&StackRow::events>("count", "COUNT", -8, "Number of these allocations"),
    col<[](const StackRow& r) {
        return Trusted{kFunctions[std::min<std::uint32_t>(r.detail, LEAK_FUNCTIONS - 1)]};
    }>("function", "FUNCTION", 14, "What the program called, or which allocator of the kernel"),
    col<[](const StackRow& r) -> Value {
        if (!r.pid)
            return Absent{};
        return r.comm;
    }>("comm", "COMM", 16, "Command name; not of the kernel's allocations"),
    col<[](const StackRow& r) -> Value {
        if (!r.pid)
            return Absent{};
        return r.pid;
    }>("pid", "PID", 7, "Process ID; not of the kernel's allocations"),
    col<[](const StackRow& r) { return StackRow::names(*r.user); }>("user", "USER", 0,
                                                                    "User functions, leaf first"),
    col<[](const StackRow& r) { return StackRow::names(*r.kernel); }>(
        "kernel", "KERNEL", 0, "Kernel functions, leaf first"),
    stack_column::user_address,
    stack_column::kernel_address,
};

template <UserWay Way>
std::vector<bpf_link*> attach_allocators(const Session& session, const bpf_program* program)
{
    const Options& o = session.options_as<Options>();
    return attach_user(session, program, o.sites->of(bpf_program__name(program)), Way, o.objects);
}

template <auto... Programs>
consteval std::array<Rung, 5> allocator_rungs()
{
    constexpr std::string_view kBlind = "the first milliseconds of a library that no process used "
                                        "before; a program that has no symbols";
    return {
        with_function(rung<Programs...>("uprobe.multi", kBlind, attach_allocators<UserWay::multi>),
                      kUprobeMultiFunction),
        rung<Programs...>("uprobe", kBlind, attach_allocators<UserWay::perf_events>)};
}

// Probes that end what was begun come first: what begins before they are attached would stay for
// ever.
constexpr Need kNeeds[] = {
    {.what = "programs that free memory",
     .rungs = allocator_rungs<&P::free_enter, &P::munmap_enter>(),
     .chosen = true},
    {.what = "programs that allocate memory",
     .rungs = allocator_rungs<&P::alloc_return, &P::malloc_enter, &P::new_enter, &P::calloc_enter,
                              &P::realloc_enter, &P::rearray_enter, &P::posix_enter,
                              &P::aligned_enter>(),
     .chosen = true},
    {.what = "programs that map memory",
     .rungs = allocator_rungs<&P::mmap_enter, &P::mremap_enter>(),
     .chosen = true},
    {.what = "memory that the kernel frees",
     .rungs = {rung<&P::kfree, &P::cache_free, &P::page_free>("raw_tp")},
     .chosen = true},
    {.what = "memory that the kernel allocates",
     .rungs = {Rung{
         .name = "raw_tp",
         .probes = {detail::probe<&P::kmalloc>(false), detail::probe<&P::cache_alloc>(false),
                    detail::probe<&P::page_alloc>(false), detail::probe<&P::kmalloc_node>(true),
                    detail::probe<&P::cache_node>(true)}}},
     .chosen = true},
    {.what = "per-CPU memory that the kernel frees",
     .rungs = {rung<&P::percpu_free>("raw_tp")},
     .chosen = true},
    {.what = "per-CPU memory that the kernel allocates",
     .rungs = {rung<&P::percpu_alloc>("raw_tp")},
     .chosen = true},
};

std::span<const Need> chosen_needs(const Options& o)
{
    const std::span needs(kNeeds);
    if (o.percpu)
        return o.sums ? needs.subspan(6, 1) : needs.subspan(5, 2);
    if (o.kernel)
        return o.sums ? needs.subspan(4, 1) : needs.subspan(3, 2);
    return o.sums ? needs.subspan(1, 1) : needs.first(3);
}

std::uint64_t sum(const memleak_bpf& s, __u64 leak_counts::*member)
{
    std::uint64_t total = 0;
    for (const leak_counts& counts : s.bss->leak_counts)
        total += *const_cast<const volatile __u64*>(&(counts.*member));
    return total;
}

template <class Key, class Value, class Use>
void for_each(const Entries& entries, Use&& use)
{
    for (std::size_t i = 0; i < entries.size(); i++)
        entries.values<Value>(i, [&](const Value& value) { use(entries.key<Key>(i), value); });
}

// The outstanding allocations as rows.
class Outstanding
{
public:
    Outstanding(memleak_bpf& s, const Options& o, Run& run)
        : skeleton_(s), options_(o), run_(run),
          keeps_ended_(!run.session->pids.empty() || !run.session->command.empty())
    {
    }

    void take(StackWords& words, std::vector<StackRow>& rows);
    void choose(std::vector<StackRow>& rows);
    void begin(Output& output) const;
    void block(std::string& out, const StackRow& row) const;
    // What memleak cannot know; empty: nothing.
    std::string describe_unknown() const;

private:
    using Process = std::pair<std::uint32_t, std::uint32_t>; // and its image

    // Of processes that ended, or execute another program since: its memory is freed.
    std::set<Process> gone(const Entries& leaks) const;
    void read_names();

    memleak_bpf& skeleton_;
    const Options& options_;
    Run& run_;
    const bool keeps_ended_; // what a process had as it ended is shown
    std::map<Process, std::string> names_;
    std::uint64_t dropped_ = 0;
    struct {
        std::uint64_t stacks, allocations, bytes;
    } shown_{}; // of this report, with what -T leaves out
    struct Addresses {
        StackRow row;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> all; // and the sizes
    };
    std::vector<Addresses> addresses_; // with -a
};

std::set<Outstanding::Process> Outstanding::gone(const Entries& leaks) const
{
    struct Image {
        std::uint32_t image;
        std::uint64_t last_ns;
    };
    std::map<std::uint32_t, std::vector<Image>> processes;
    for_each<leak_key, leak>(leaks, [&](const leak_key& key, const leak& leak) {
        auto& images = processes[key.pid];
        const auto known = std::ranges::find(images, leak.image, &Image::image);
        if (known == images.end())
            images.push_back({leak.image, leak.time_ns});
        else
            known->last_ns = std::max<std::uint64_t>(known->last_ns, leak.time_ns);
    });
    processes.erase(0); // the kernel
    std::set<Process> gone;
    for (const auto& [pid, images] : processes) {
        std::uint32_t now = ImageSymbols::image(pid);
        if (!now && keeps_ended_)
            now = std::ranges::max(images, {}, &Image::last_ns).image;
        for (const Image& image : images)
            if (image.image != now)
                gone.emplace(pid, image.image);
    }
    return gone;
}

void Outstanding::read_names()
{
    const Entries processes(skeleton_.maps.leak_processes);
    for_each<leak_process, leak_process_name>(
        processes, [&](const leak_process& process, const leak_process_name& name) {
            names_[{process.pid, process.image}] = std::string(c_str(name.comm));
        });
}

void Outstanding::take(StackWords& words, std::vector<StackRow>& rows)
{
    const std::uint64_t now_ns = monotonic_ns();
    const Entries leaks(skeleton_.maps.leaks);
    const std::set<Process> gone = this->gone(leaks);
    read_names();
    addresses_.clear();
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::int32_t, std::uint32_t>;
    struct Sum {
        std::uint64_t bytes = 0, count = 0;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> addresses;
    };
    std::map<Key, Sum> sums;
    std::uint64_t outstanding = 0, stackless = 0;
    for_each<leak_key, leak>(leaks, [&](const leak_key& key, const leak& leak) {
        if (gone.contains({key.pid, leak.image})) {
            dropped_ += bpf_map_delete_elem(bpf_map__fd(skeleton_.maps.leaks), &key) == 0;
            return;
        }
        outstanding++;
        stackless += leak.stack < 0 && leak.stack != STACK_NONE;
        if (!options_.combined &&
            now_ns - std::min<std::uint64_t>(leak.time_ns, now_ns) < options_.older_ms * 1'000'000)
            return;
        Sum& sum = sums[{key.pid, leak.image, leak.stack, leak.function}];
        sum.bytes += leak.size;
        sum.count++;
        if (options_.addresses)
            sum.addresses.emplace_back(key.address, leak.size);
    });
    for (auto& [key, sum] : sums) {
        const auto& [pid, image, stack, function] = key;
        StackRow row{.comm = names_[{pid, image}],
                     .pid = pid,
                     .events = sum.count,
                     .total = sum.bytes,
                     .kernel = words.kernel(options_.kernel ? stack : STACK_NONE),
                     .user = words.user({pid, image}, options_.kernel ? STACK_NONE : stack),
                     .detail = function};
        if (options_.addresses)
            addresses_.push_back({row, std::move(sum.addresses)});
        rows.push_back(row);
    }
    run_.account.stackless = stackless;
    run_.account.printed = outstanding - stackless + dropped_ +
                           sum(skeleton_, &leak_counts::freed) +
                           sum(skeleton_, &leak_counts::missed);
}

void Outstanding::choose(std::vector<StackRow>& rows)
{
    shown_ = {rows.size(), 0, 0};
    for (const StackRow& row : rows) {
        shown_.allocations += row.events;
        shown_.bytes += row.total;
    }
    if (rows.size() > options_.top)
        rows.erase(rows.begin(), rows.end() - options_.top);
}

void Outstanding::begin(Output& output) const
{
    if (options_.folded)
        return;
    std::string& out = output.text();
    out += cat("[", output.clock().time_of_day(output.clock().wall_ns(monotonic_ns())), "] Top ",
               std::min<std::uint64_t>(options_.top, shown_.stacks), " of ", shown_.stacks,
               options_.sums ? " stacks by allocated bytes: "
                             : " stacks with outstanding allocations: ",
               shown_.allocations, " allocations, ", shown_.bytes, " bytes\n");
    if (const std::string unknown = describe_unknown(); !unknown.empty())
        out += cat("\t", unknown, "\n");
}

void Outstanding::block(std::string& out, const StackRow& row) const
{
    for (const Addresses& addresses : addresses_)
        if (addresses.row.pid == row.pid && addresses.row.detail == row.detail &&
            *addresses.row.user == *row.user && *addresses.row.kernel == *row.kernel)
            for (const auto& [address, size] : addresses.all)
                out += cat("\taddr = ", to_hex(address), " size = ", size, "\n");
    out += cat("\t", row.total, " bytes in ", row.events, " allocations from stack");
    if (row.pid && run_.session->pids.size() != 1) {
        out += " of ";
        escape_text(out, row.comm, false);
        out += cat(" (", row.pid, ")");
    }
    out += '\n';
    for (const Frames* frames : {row.kernel, row.user}) {
        if (frames->state == Frames::State::lost)
            out += "\t\t[Missed Stack]\n";
        for (std::size_t i = 0; i < frames->names.size(); i++) {
            out += "\t\t";
            escape_text(out, frames->details.empty() ? frames->names[i] : frames->details[i],
                        false);
            out += '\n';
        }
    }
}

std::string Outstanding::describe_unknown() const
{
    std::string out;
    if (const std::uint64_t n = sum(skeleton_, &leak_counts::unknown))
        out = cat(n, " frees of unknown addresses (allocated before the start, or filtered out)");
    if (const std::uint64_t n = sum(skeleton_, &leak_counts::missed))
        out += cat(out.empty() ? "" : "; ", n, " addresses were allocated again without a free");
    return out;
}

struct MemLeak {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<StackRow> columns;
    std::span<const Need> needs;
    Seconds interval;

    using Skeleton = memleak_bpf;
    using Asked = Options;
    static constexpr Shared kShared =
        Shared::interval | Shared::filter | Shared::symbols | Shared::command;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<memleak_bpf, Options, MemLeak> {
            using Traced::Traced;
            std::optional<Outstanding> outstanding;
            std::optional<StackReports> reports;

            void started()
            {
                const auto& s = skeleton();
                outstanding.emplace(skeleton(), options(), *run);
                StackLook look{
                    .row = {},
                    .block = [this](std::string& out,
                                    const StackRow& row) { outstanding->block(out, row); },
                    .begin = [this](Output& output) { outstanding->begin(output); },
                    .sorted = [this](std::vector<StackRow>& rows) { outstanding->choose(rows); }};
                if (!options().sums)
                    look.take = [this](StackWords& words, std::vector<StackRow>& rows) {
                        outstanding->take(words, rows);
                    };
                reports.emplace(
                    *run, options(),
                    StackUnit{.name = options().by == By::size ? "bytes" : "allocations",
                              .total = options().by == By::size},
                    banner(options(), session()),
                    StackReports::Maps{s.maps.cb_stack_sums, s.maps.cb_stacks,
                                       s.maps.cb_stacks_spill, s.maps.cb_stack_tasks,
                                       &s.bss->cb_generation},
                    std::move(look));
            }
            int data_fd() const { return reports->data_fd(); }
            void begin() { reports->begin(); }
            bool drain() { return reports->drain(); }
            void report(bool last) { reports->report(last); }
            void detach()
            {
                tracing.detach(account());
                account().note = outstanding->describe_unknown();
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        check(state->options(), *session);
        const Options& o = state->options();
        state->tracing.attach_needs(
            chosen_needs(o),
            [&](memleak_bpf& s) {
                prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_stack_sums, s.maps.cb_stacks,
                               s.maps.cb_stacks_spill);
                bpf_map__set_max_entries(s.maps.leaks, o.hash_storage);
                s.rodata->leak_cfg = {.min_size = o.min_size,
                                      .max_size = o.max_size,
                                      .sample = o.sample,
                                      .page_size = std::uint32_t(::sysconf(_SC_PAGESIZE)),
                                      .cpus = std::uint32_t(libbpf_num_possible_cpus()),
                                      .sums = o.sums};
            },
            [](memleak_bpf&, bool) {});
        if (session->check)
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }

private:
    static std::string banner(const Options& o, const Session& session)
    {
        if (o.percpu)
            return "Attaching to the kernel's per-CPU allocator, Ctrl+C to quit.";
        if (o.kernel)
            return "Attaching to kernel allocators, Ctrl+C to quit.";
        return cat("Attaching to allocators of ", traced_tasks(session), ", Ctrl+C to quit.");
    }

    static void check(Options& o, Session& session)
    {
        check_stack_options(o);
        if (o.max_size < o.min_size)
            fail_usage("--max-size must not be less than --min-size");
        if (!session.given("hash-storage-size"))
            o.hash_storage = o.sums ? STACK_HASH_STORAGE : LEAK_ALLOCATIONS;
        if (o.addresses && o.sums)
            fail_usage("--show-allocs and --allocated exclude each other");
        const bool user = is_filtered(session) || !o.objects.empty() || !o.prefix.empty();
        o.kernel |= o.percpu || !user;
        o.kernel_only = o.kernel;
        o.user_only = !o.kernel;
        if (o.kernel && (!o.objects.empty() || !o.prefix.empty()))
            fail_usage("--obj and --symbols-prefix are not for the kernel's allocators");
        o.sites = std::make_shared<AllocatorSites>(o.prefix, !o.sums);
    }
};

constexpr MemLeak kTool{
    .about = {.name = "memleak",
              .area = "memory",
              .summary = "Show memory that is allocated and not freed, by stack",
              .details =
                  "Sums the allocations that a process, or the kernel, has made and not freed, by "
                  "the stack that made them. Prints the largest every 5 seconds and at the end. "
                  "With -p, a command or another filter it traces programs, else the kernel.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .interval = std::chrono::seconds(5),
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
