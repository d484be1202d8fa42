// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "deadlock.h"
#include "../lock_graph.hpp"
#include "output/escape.hpp"
#include "output/replace_file.hpp"
#include "probe/user_probe.hpp"
#include "session/transport.hpp"
#include "shape/reports.hpp"
#include "shape/stacks.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <deque>
#include <optional>
#include <set>

#include "deadlock.skel.h"

namespace
{
using namespace corebox;
using P = decltype(deadlock_bpf::progs);

struct Options : StackOptions {
    std::uint32_t pid = 0;
    std::vector<std::string_view> libraries; // --binary
    std::vector<std::string_view> lock_symbols, unlock_symbols;
    std::optional<UserSite> lock_site, unlock_site; // of these symbols
    std::string_view graph, dot;
    std::uint32_t threads = DEADLOCK_THREADS, edges = DEADLOCK_EDGES;
    bool verbose = false;
};

// An edge of a cycle.
struct Row {
    std::uint64_t cycle = 0;
    const deadlock_key* key = nullptr;
    const deadlock_edge* edge = nullptr;
    const Frames* held = &kNoFrames;
    const Frames* wanted = &kNoFrames;
    const deadlock_birth* birth = nullptr;
    const Frames* created = &kNoFrames;
};

constexpr Example kExamples[] = {
    {"deadlock 181", "Look for locks that threads of process 181 take in different orders"},
    {"deadlock -- make check", "Look for them in a command and its children"},
    {"deadlock 181 --dot locks.dot", "Also write the order of locks for Graphviz"},
    {"deadlock 181 --binary /opt/app --lock-symbols app_lock --unlock-symbols app_unlock",
     "Trace functions of the program's own"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
};

constexpr Option kOptions[] = {
    opt<&Options::libraries>(0, "binary", "PATH", "Attach to functions of this file", {}, {},
                             "file"),
    opt<&Options::lock_symbols>(0, "lock-symbols", "NAME,...", "Trace these functions that lock"),
    opt<&Options::unlock_symbols>(0, "unlock-symbols", "NAME,...",
                                  "Trace these functions that unlock"),
    opt<&Options::graph>(0, "dump-graph", "FILE", "Write the order of locks as JSON", {}, {},
                         "file"),
    opt<&Options::dot>(0, "dot", "FILE", "Write the order of locks for Graphviz", {}, {}, "file"),
    flag<&Options::verbose>(0, "verbose", "Print the numbers of locks and edges"),
    opt<&Options::threads>('t', "threads", "THREADS", "Limit the number of threads (default: 8192)",
                           {1, 1 << 20}),
    opt<&Options::edges>('e', "edges", "EDGES", "Limit the number of edges (default: 65536)",
                         {1, 1 << 20}),
    opt<&StackOptions::storage>('s', "stacktraces", "STACKS",
                                "Limit the number of stacks (default: 16384)", {1, 1 << 22},
                                "stack-storage-size"),
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kModes[] = {"exclusive", "shared"};

constexpr Column kColumns[] = {
    col<&Row::cycle>("cycle", "CYCLE", 5, "Number of the cycle, from 1"),
    col<[](const Row& r) { return r.key->pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) { return r.edge->tid; }>("tid", "TID", 7, "Thread ID"),
    col<[](const Row& r) -> Value { return std::string_view(c_str(r.edge->comm)); }>(
        "comm", "COMM", 16, "Command name of the thread")
        .as(ColumnType::text),
    col<[](const Row& r) { return Hex{r.key->from.address}; }>("held", "HELD", 18,
                                                               "Lock that the thread held"),
    col<[](const Row& r) { return Trusted{kModes[r.key->from.mode & 1]}; }>(
        "held_mode", "HELD-MODE", 9, "exclusive, or shared: a read-write lock for reading"),
    col<[](const Row& r) { return Hex{r.key->to.address}; }>(
        "wanted", "WANTED", 18, "Lock that the thread requested while it held the other"),
    col<[](const Row& r) { return Trusted{kModes[r.key->to.mode & 1]}; }>(
        "wanted_mode", "WANTED-MODE", 11, "The same of this lock"),
    col<[](const Row& r) { return r.edge->count; }>("count", "COUNT", -7,
                                                    "How often threads took both in this order"),
    col<[](const Row& r) { return r.birth ? Value(r.birth->tid) : Absent{}; }>(
        "creator_tid", "CREATOR", 7, "Thread that created the thread", kJsonOnly),
    col<[](const Row& r) { return StackRow::names(*r.held); }>(
        "held_user", "HELD-USER", 0, "User functions that took the first, leaf first", kJsonOnly),
    col<[](const Row& r) { return StackRow::names(*r.wanted); }>(
        "wanted_user", "WANTED-USER", 0, "User functions that took the second", kJsonOnly),
    col<[](const Row& r) { return StackRow::names(*r.created); }>(
        "created_user", "CREATED-USER", 0, "User functions that created the thread", kJsonOnly),
};

// --- Functions of C libraries, old ones with a library of its own for threads, and musl's.

constexpr std::string_view kLockNames[] = {"pthread_mutex_lock", "pthread_rwlock_wrlock",
                                           "pthread_spin_lock"};
constexpr std::string_view kReadNames[] = {"pthread_rwlock_rdlock"};
constexpr std::string_view kUnlockNames[] = {"pthread_mutex_unlock", "pthread_rwlock_unlock",
                                             "pthread_spin_unlock"};
constexpr std::string_view kTryNames[] = {"pthread_mutex_trylock", "pthread_rwlock_trywrlock",
                                          "pthread_spin_trylock"};
constexpr std::string_view kReadTryNames[] = {"pthread_rwlock_tryrdlock"};
constexpr std::string_view kTimedNames[] = {"pthread_mutex_timedlock", "pthread_mutex_clocklock",
                                            "pthread_rwlock_timedwrlock",
                                            "pthread_rwlock_clockwrlock"};
constexpr std::string_view kTimedReadNames[] = {"pthread_rwlock_timedrdlock",
                                                "pthread_rwlock_clockrdlock"};
// Of the four above.
constexpr std::string_view kAttemptNames[] = {
    "pthread_mutex_trylock",      "pthread_rwlock_trywrlock",   "pthread_spin_trylock",
    "pthread_rwlock_tryrdlock",   "pthread_mutex_timedlock",    "pthread_mutex_clocklock",
    "pthread_rwlock_timedwrlock", "pthread_rwlock_clockwrlock", "pthread_rwlock_timedrdlock",
    "pthread_rwlock_clockrdlock"};
constexpr std::string_view kConditionNames[] = {"pthread_cond_wait", "pthread_cond_timedwait",
                                                "pthread_cond_clockwait"};
constexpr std::string_view kDestroyNames[] = {"pthread_mutex_destroy", "pthread_rwlock_destroy"};

constexpr UserSite in_libraries(std::span<const std::string_view> symbols)
{
    return {.libraries = {"c", "pthread", "ld-musl-"}, .symbols = symbols};
}

// All at once: to look for a name takes a reading of all names of a file.
template <const auto& Names>
inline constexpr UserSite kIn = in_libraries(Names);

// Which functions of its own the user named, in place of the library's.
using Own = std::optional<UserSite> Options::*;

template <const UserSite& Site, Own Named, UserWay Way>
std::vector<bpf_link*> attach_all(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    if constexpr (Named != nullptr)
        if (o.*Named)
            return attach_user(session, program, *(o.*Named), Way, o.libraries);
    return attach_user(session, program, Site, Way);
}

template <auto Program, const UserSite& Site, Own Named, UserWay Way>
consteval Rung site_rung(std::string_view name)
{
    return rung<Program>(name,
                         "locks that are not those of a C library; failing calls of "
                         "pthread_mutex_lock()",
                         attach_all<Site, Named, Way>, [](const Facts& facts) {
                             return facts.user_site ? facts.user_site(Site) : Obstacle{};
                         });
}

template <auto Program, const UserSite& Site, Own Named = nullptr>
consteval std::array<Rung, 5> site_rungs()
{
    return {with_function(site_rung<Program, Site, Named, UserWay::multi>("uprobe.multi"),
                          kUprobeMultiFunction),
            site_rung<Program, Site, Named, UserWay::perf_events>("uprobe")};
}

template <auto Program, const UserSite& Site>
consteval Need optional_need(std::string_view what, std::string_view without)
{
    return {
        .what = what, .rungs = site_rungs<Program, Site>(), .optional = true, .without = without};
}

constexpr Need kNeeds[] = {
    {.what = "threads that take locks",
     .rungs = site_rungs<&P::lock_alone, kIn<kLockNames>, &Options::lock_site>()},
    {.what = "threads that release locks",
     .rungs = site_rungs<&P::unlock, kIn<kUnlockNames>, &Options::unlock_site>()},
    optional_need<&P::lock_shared, kIn<kReadNames>>("read-write locks for reading",
                                                    "pthread_rwlock_rdlock()"),
    optional_need<&P::try_alone, kIn<kTryNames>>("locks that are tried", "pthread_mutex_trylock()"),
    optional_need<&P::try_shared, kIn<kReadTryNames>>("locks that are tried for reading",
                                                      "pthread_rwlock_tryrdlock()"),
    optional_need<&P::timed_alone, kIn<kTimedNames>>("locks with a timeout",
                                                     "pthread_mutex_timedlock()"),
    optional_need<&P::timed_shared, kIn<kTimedReadNames>>("locks with a timeout for reading",
                                                          "pthread_rwlock_timedrdlock()"),
    optional_need<&P::attempt_over, kIn<kAttemptNames>>("whether these got the lock",
                                                        "locks that are tried"),
    optional_need<&P::condition_wait, kIn<kConditionNames>>("waits that take a mutex again",
                                                            "pthread_cond_wait()"),
    optional_need<&P::destroy, kIn<kDestroyNames>>("locks that end", "pthread_mutex_destroy()"),
    {.what = "new threads",
     .rungs = {rung<&P::new_thread>("raw_tp")},
     .optional = true,
     .without = "who created a thread"},
    {.what = "threads that end", .rungs = {rung<&P::task_free>("raw_tp")}},
};

LockNode node(const deadlock_key& key, const deadlock_lock& lock)
{
    return {key.pid, key.image, lock.address, lock.life};
}

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<deadlock_bpf, Options>& r)
        : r_(r), tasks_(r.skeleton.maps.cb_stack_tasks, false, 0, on_task, this)
    {
        for (const std::uint32_t pid : r.session.pids)
            pending_.add({pid, ImageSymbols::image(pid)});
        pending_.note_in(symbols_);
        r.skeleton.bss->is_complete = true;
    }

    int fd() const { return tasks_.epoll_fd(); }
    void wake()
    {
        while (tasks_.consume())
            ;
        pending_.note_in(symbols_);
    }

    void begin()
    {
        if (!r_.text())
            r_.sink.header();
        else
            r_.text()->text() += cat("Tracing the order of locks of ", traced_tasks(r_.session),
                                     "... Hit Ctrl-C to end.\n");
    }

    void report()
    {
        const __u32 made = r_.skeleton.bss->edges_made;
        if (made == made_ && !edges_.empty())
            return;
        made_ = made;
        whole_.clear();
        read();
        StackWords words(r_.options, kUnit, symbols_, r_.skeleton.maps.cb_stacks,
                         r_.skeleton.maps.cb_stacks_spill);
        if (Output* const text = r_.text(); text && r_.options.verbose)
            text->text() += cat("Locks: ", graph_.nodes(), ", Edges: ", edges_.size(), "\n");
        for (const std::vector<std::size_t>& cycle : graph_.cycles())
            if (printed_.insert(identity(cycle)).second)
                print(cycle, words);
        if (!r_.options.graph.empty())
            replace_file(std::string(r_.options.graph), json(words));
        if (!r_.options.dot.empty())
            replace_file(std::string(r_.options.dot), dot(words));
    }

private:
    static constexpr StackUnit kUnit{};
    struct Edge {
        deadlock_key key;
        deadlock_edge edge;
    };
    using Identity = std::vector<std::pair<LockNode, LockNode>>;

    static void on_task(void* self, const void* record, std::size_t) noexcept
    {
        static_cast<Report*>(self)->pending_.add(*static_cast<const stack_task*>(record));
    }

    void read()
    {
        const int fd = bpf_map__fd(r_.skeleton.maps.edges);
        edges_.clear();
        graph_ = LockGraph();
        deadlock_key key{}, next{};
        for (int err = bpf_map_get_next_key(fd, nullptr, &next); err == 0;
             err = bpf_map_get_next_key(fd, &key, &next)) {
            key = next;
            Edge edge{key, {}};
            if (bpf_map_lookup_elem(fd, &key, &edge.edge) != 0)
                continue;
            graph_.add({.from = node(key, key.from),
                        .to = node(key, key.to),
                        .from_shared = key.from.mode == HELD_SHARED,
                        .to_shared = key.to.mode == HELD_SHARED,
                        .thread = edge.edge.several ? 0 : edge.edge.tid});
            edges_.push_back(edge);
        }
    }

    Identity identity(const std::vector<std::size_t>& cycle) const
    {
        Identity all;
        for (const std::size_t i : cycle)
            all.emplace_back(node(edges_[i].key, edges_[i].key.from),
                             node(edges_[i].key, edges_[i].key.to));
        std::ranges::sort(all);
        return all;
    }

    // With the caller of the function, where the kernel does not find it.
    const Frames* stack(StackWords& words, const Edge& e, std::int32_t id, std::uint64_t caller)
    {
        const stack_task task{e.key.pid, e.key.image};
        const Frames* const frames = words.user(task, id);
        if (frames->names.empty() || !caller)
            return frames;
        const UserFrame frame = symbols_.lookup(task, caller, At::return_address);
        if (frames->names.size() > 1 && frames->names[1] == frame.name)
            return frames;
        Frames& whole = whole_.emplace_back(*frames);
        whole.names.insert(whole.names.begin() + 1, frame.name);
        whole.kinds.insert(whole.kinds.begin() + 1, frame.kind);
        return &whole;
    }
    const Frames* first_stack(StackWords& words, const Edge& e)
    {
        return stack(words, e, e.edge.from_stack, e.edge.from_caller);
    }
    const Frames* second_stack(StackWords& words, const Edge& e)
    {
        return stack(words, e, e.edge.to_stack, e.edge.to_caller);
    }

    const deadlock_birth* birth(std::uint32_t tid)
    {
        const auto [at, is_new] = births_.try_emplace(tid);
        if (is_new &&
            bpf_map_lookup_elem(bpf_map__fd(r_.skeleton.maps.births), &tid, &at->second) != 0)
            at->second.pid = 0;
        return at->second.pid ? &at->second : nullptr;
    }

    void print(const std::vector<std::size_t>& cycle, StackWords& words)
    {
        const std::uint64_t number = printed_.size();
        std::vector<Row> rows;
        for (const std::size_t i : cycle) {
            const Edge& e = edges_[i];
            Row& row = rows.emplace_back(Row{.cycle = number,
                                             .key = &e.key,
                                             .edge = &e.edge,
                                             .held = first_stack(words, e),
                                             .wanted = second_stack(words, e),
                                             .birth = birth(e.edge.tid)});
            if (row.birth)
                row.created = words.user({row.birth->pid, row.birth->image}, row.birth->stack);
            r_.account.printed++;
        }
        if (Output* const text = r_.text())
            return print(text->text(), rows);
        for (const Row& row : rows)
            r_.sink.row(&row);
    }

    // BCC's text.
    static void print(std::string& out, const std::vector<Row>& rows)
    {
        const auto lock = [&](std::size_t i) {
            i %= rows.size();
            return cat("Mutex M", i, " (", to_hex(rows[i].key->from.address), ")");
        };
        const auto thread = [&](const Row& r) {
            out += cat("Thread ", r.edge->tid, " (");
            escape_text(out, c_str(r.edge->comm), false);
            out += ")";
        };
        out += "----------------\nPotential Deadlock Detected!\n\nCycle in lock order graph: ";
        for (std::size_t i = 0; i <= rows.size(); i++)
            out += cat(i ? " => " : "", lock(i));
        out += "\n\n";
        for (std::size_t i = 0; i < rows.size(); i++) {
            const Row& r = rows[i];
            out += cat(lock(i + 1), " acquired here while holding ", lock(i), " in ");
            thread(r);
            out += ":\n";
            append_frames(out, *r.wanted, kMissedUser);
            out += cat("\n", lock(i), " previously acquired by the same ");
            thread(r);
            out += " here:\n";
            append_frames(out, *r.held, kMissedUser);
            out += '\n';
        }
        std::set<std::uint32_t> told;
        for (const Row& r : rows) {
            if (!told.insert(r.edge->tid).second)
                continue;
            thread(r);
            if (!r.birth) {
                out += cat(" was there before, or is the first of process ", r.key->pid, "\n\n");
                continue;
            }
            out += cat(" created by Thread ", r.birth->tid, " (");
            escape_text(out, c_str(r.birth->comm), false);
            out += ") here:\n";
            append_frames(out, *r.created, kMissedUser);
            out += '\n';
        }
    }

    static void put_names(std::string& out, const Frames& frames)
    {
        out += '[';
        for (std::size_t i = 0; i < frames.names.size(); i++) {
            out += i ? "," : "";
            put_json_string(out, frames.names[i]);
        }
        out += ']';
    }

    std::set<std::tuple<std::uint32_t, std::uint64_t, std::uint32_t>> locks() const
    {
        std::set<std::tuple<std::uint32_t, std::uint64_t, std::uint32_t>> all;
        for (const Edge& e : edges_)
            for (const deadlock_lock* lock : {&e.key.from, &e.key.to})
                all.emplace(e.key.pid, lock->address, lock->life);
        return all;
    }

    static std::string id(std::uint32_t pid, std::uint64_t address, std::uint32_t life)
    {
        return cat(pid, ":", to_hex(address), life ? cat(".", life) : "");
    }

    // As networkx writes and reads it, which BCC's tool used.
    std::string json(StackWords& words)
    {
        std::string out = "{\"directed\":true,\"multigraph\":true,\"graph\":{},\"nodes\":[";
        for (bool first = true; const auto& [pid, address, life] : locks()) {
            out += cat(first ? "" : ",", "{\"id\":\"", id(pid, address, life), "\"}");
            first = false;
        }
        out += "],\"links\":[";
        for (bool first = true; const Edge& e : edges_) {
            const deadlock_key& k = e.key;
            out += cat(first ? "" : ",", "{\"source\":\"", id(k.pid, k.from.address, k.from.life),
                       "\",\"target\":\"", id(k.pid, k.to.address, k.to.life),
                       "\",\"thread_pid\":", e.edge.tid, ",\"thread_comm\":");
            put_json_string(out, c_str(e.edge.comm));
            out += cat(",\"count\":", std::uint64_t(e.edge.count), ",\"first_mutex_stack\":");
            put_names(out, *first_stack(words, e));
            out += ",\"second_mutex_stack\":";
            put_names(out, *second_stack(words, e));
            out += '}';
            first = false;
        }
        return out + "]}\n";
    }

    std::string dot(StackWords& words)
    {
        std::string out = "digraph locks {\n";
        for (const Edge& e : edges_) {
            const deadlock_key& k = e.key;
            const Frames* const frames = second_stack(words, e);
            out += cat("  \"", id(k.pid, k.from.address, k.from.life), "\" -> \"",
                       id(k.pid, k.to.address, k.to.life), "\" [label=");
            std::string label = cat(e.edge.tid);
            for (const std::string_view name : frames->names) {
                label += cat(" ", name);
                if (&name == &frames->names[std::min<std::size_t>(1, frames->names.size() - 1)])
                    break; // the lock function and its caller
            }
            put_json_string(out, label); // quoted as Graphviz reads it, too
            out += "];\n";
        }
        return out + "}\n";
    }

    Reporting<deadlock_bpf, Options>& r_;
    ImageSymbols symbols_;
    PendingImages pending_;
    EventReader tasks_;
    std::deque<Frames> whole_; // of a report
    std::vector<Edge> edges_;
    LockGraph graph_;
    std::set<Identity> printed_;
    std::map<std::uint32_t, deadlock_birth> births_;
    __u32 made_ = 0;
};

void prepare(Options& o, Session& session)
{
    o.user_only = true;
    if (o.pid)
        session.pids.push_back(o.pid);
    if (!o.pid && !is_filtered(session))
        fail_usage("missing PID; for example: deadlock 181");
    if (o.lock_symbols.empty() != o.unlock_symbols.empty())
        fail_usage("--lock-symbols and --unlock-symbols need each other");
    if (!o.libraries.empty() && o.lock_symbols.empty()) {
        o.lock_symbols = {"pthread_mutex_lock"}; // BCC's defaults
        o.unlock_symbols = {"pthread_mutex_unlock"};
    }
    if (!o.lock_symbols.empty()) {
        o.lock_site = in_libraries(o.lock_symbols);
        o.unlock_site = in_libraries(o.unlock_symbols);
    }
    check_stack_options(o);
    for (const std::string_view file : {o.graph, o.dot})
        if (!file.empty())
            check_replaceable(std::string(file));
    session.interval = std::chrono::seconds(1);
}

constexpr Reports<deadlock_bpf, Options, Report, Shared::user_symbols> kTool{
    .about = {.name = "deadlock",
              .area = "lock",
              .summary = "Find locks that threads of a process take in different orders",
              .details = "Notes in which order the threads of a process take mutexes and "
                         "read-write locks. Prints each cycle of locks in which threads may wait "
                         "for each other for ever, with the stacks that took them.",
              .examples = kExamples,
              .smoke = {"--comm", "init"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .interval = std::chrono::seconds(1),
    .prepare = prepare,
    .setup =
        [](deadlock_bpf& s, Options& o, const Session&) {
            prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_stack_sums, s.maps.cb_stacks,
                           s.maps.cb_stacks_spill);
            bpf_map__set_autocreate(s.maps.cb_stack_sums, false);
            bpf_map__set_max_entries(s.maps.threads, o.threads);
            bpf_map__set_max_entries(s.maps.attempts, o.threads);
            bpf_map__set_max_entries(s.maps.edges, o.edges);
        },
    .ending = [](deadlock_bpf& s, Options&) { s.bss->is_complete = false; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
