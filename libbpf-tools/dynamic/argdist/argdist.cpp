// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "argdist.h"
#include "call.hpp"
#include "dist_spec.hpp"
#include "instances.hpp"
#include "kernel_side.hpp"
#include "output/escape.hpp"
#include "shape/histogram.hpp"
#include "show.hpp"
#include <algorithm>
#include <cstring>
#include <map>

#include "argdist.skel.h"

namespace
{
using namespace corebox;
using P = decltype(argdist_bpf::progs);
using Use = DistSpec::Use;

struct Options {
    SpecList histograms, counts, includes;
    std::uint32_t string_size = 80;
    std::uint32_t top = 0;
    bool cumulative = false;
    FunctionProbes* probes = nullptr; // of the instance that is being attached
};

struct Row {
    std::string_view label;
    std::string key;
};

constexpr RecordHead kHead{.size = sizeof(argdist_record),
                           .missing = offsetof(argdist_record, missing),
                           .undecided = offsetof(argdist_record, undecided)};
// What an entry keeps is a record too.
constexpr RecordHead kEntryHead{.size = offsetof(argdist_entry, values),
                                .missing = offsetof(argdist_entry, missing),
                                .undecided = 0};
static_assert(sizeof(argdist_record) % 8 == 0);

// What was counted of one key, and of one sign of the value.
struct Total {
    Distribution values;
    std::uint64_t count = 0, sum = 0;
    std::uint64_t least_inverse = 0, most = 0; // as in hist_totals, with the bias
};

// A specification, and what was counted of it.
struct Counted {
    std::unique_ptr<DistSpec> spec;
    bool is_histogram = false;
    const DistSpec::Expression* value = nullptr; // of the histogram, of sum() and its like
    bool is_signed = false;
    std::map<std::string, Total> totals; // by sign and key
};

// One instance of the object.
struct Instance {
    std::size_t counted = 0;
    Tap tap;
    Place entry_place; // of a return that needs its entry
    Forms forms, entry_forms;
    std::size_t keys = 0; // of the captured, the first
    std::unique_ptr<FunctionProbes> probes;
    std::array<Target, 1> targets{};
    std::vector<Need> needs;
    std::vector<std::byte> object;
    KernelSide::Maps maps, entry_maps;
    bool pairs = false;

    const Capture& capture() const
    {
        return forms.captures[BODY_TYPED] ? *forms.captures[BODY_TYPED]
                                          : *forms.captures[BODY_PLAIN];
    }
};

constexpr Example kExamples[] = {
    {"argdist -H 'r::vfs_read()'", "Show a histogram of what reads return"},
    {"argdist -H 'p::vfs_write():u64:count,by($comm)'", "Show the sizes of writes by command"},
    {"argdist -C 'p::vfs_open():char*:path->dentry->d_name.name' -T 10",
     "Count the ten files that are opened most"},
    {"argdist -C 't:sched:sched_switch():char*,char*:args->prev_comm,args->next_comm'",
     "Count which command follows which"},
    {"argdist -H 'r:c:read():u64:$latency#read latency in ns' -p 181",
     "Show how long reads of process 181 take"},
    {"argdist -C 'r::vfs_read()::$entry(file)->f_inode->i_ino,sum($retval)'",
     "Add up the bytes read by inode"},
};

constexpr Option kOptions[] = {
    opt<&Options::histograms>('H', "histogram", "SPEC", "Show a histogram of this"),
    opt<&Options::counts>('C', "count-spec", "SPEC", "Count how often this has each value", {},
                          "count"),
    opt<&Options::string_size>('z', "string-size", "BYTES", "Read texts up to this size", {8, 512}),
    opt<&Options::includes>('I', "include", "FILE", "Take types from C declarations in a file", {},
                            {}, "file"),
    flag<&Options::cumulative>('c', "cumulative", "Do not clear counts between reports"),
    opt<&Options::top>('T', "top", "N", "Print only the N greatest counts", kPositive),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'t', "tid"}, {'i', "interval"}, {'n', "count"}, {'d', "duration"}};

constexpr Column kColumns[] = {
    col<&Row::label>("label", "LABEL", 24, "Label of the specification, or its text"),
    col<[](const Row& r) { return Value(std::string_view(r.key)); }>("key", "KEY", 0,
                                                                     "Values of the keys"),
};

using F = FunctionProbes;
template <auto Attach, auto... Programs>
consteval Rung points(std::string_view name, std::string_view function = {})
{
    constexpr auto attach = [](const auto& session, const bpf_program* program) {
        return (probes_of<Options>(session).*Attach)(program);
    };
    return with_function(rung<Programs...>(name, {}, attach), function);
}

// What a run attaches to one set of points: one of these, and for pairs the last.
enum class Ways : std::uint8_t {
    entry,
    entries,
    returns,
    returns_many,
    pairs,
    pairs_many,
    user,
    user_returns,
    user_pairs,
    tracepoint,
    raw,
    threads,
};
constexpr Rung kKprobe = points<&F::attach_kprobes, &P::enter_kprobe>("kprobe");
constexpr Rung kMulti =
    points<&F::attach_multi, &P::enter_multi>("kprobe.multi", kKprobeMultiFunction);
constexpr Rung kKretprobe = points<&F::attach_kprobes, &P::leave_kprobe>("kprobe");
constexpr Rung kRetMulti =
    points<&F::attach_multi, &P::leave_multi>("kprobe.multi", kKprobeMultiFunction);
constexpr Rung kPairs = points<&F::attach_kprobes, &P::leave_kprobe, &P::enter_kprobe>("kprobe");
constexpr Rung kPairsMulti = points<&F::attach_multi, &P::leave_multi, &P::enter_multi>(
    "kprobe.multi", kKprobeMultiFunction);
constexpr Need kThreads = {
    .what = "threads as they end", .rungs = {rung<&P::call_thread_end>("raw_tp")}, .chosen = true};
constexpr Need kNeeds[] = {
    {.what = "calls of the function",
     .rungs = {rung<&P::enter_fentry>("fentry"), kKprobe},
     .chosen = true},
    {.what = "calls of the functions", .rungs = {kMulti, kKprobe}, .chosen = true},
    {.what = "returns of the function",
     .rungs = {rung<&P::leave_fexit>("fexit"), kKretprobe},
     .chosen = true},
    {.what = "returns of the functions", .rungs = {kRetMulti, kKretprobe}, .chosen = true},
    {.what = "calls of the function and their returns",
     .rungs = {rung<&P::leave_fexit, &P::enter_fentry>("fexit"), kPairs},
     .chosen = true},
    {.what = "calls of the functions and their returns",
     .rungs = {kPairsMulti, kPairs},
     .chosen = true},
    {.what = "calls of the user functions",
     .rungs = {points<&F::attach_uprobe_multi, &P::enter_umulti>("uprobe.multi",
                                                                 kUprobeMultiFunction),
               points<&F::attach_uprobes, &P::enter_uprobe>("uprobe")},
     .chosen = true},
    {.what = "returns of the user functions",
     .rungs = {points<&F::attach_uprobe_multi, &P::leave_umulti>("uprobe.multi",
                                                                 kUprobeMultiFunction),
               points<&F::attach_uprobes, &P::leave_uprobe>("uprobe")},
     .chosen = true},
    {.what = "calls of the user functions and their returns",
     .rungs = {points<&F::attach_uprobe_multi, &P::leave_umulti, &P::enter_umulti>(
                   "uprobe.multi", kUprobeMultiFunction),
               points<&F::attach_uprobes, &P::leave_uprobe, &P::enter_uprobe>("uprobe")},
     .chosen = true},
    {.what = "the tracepoint",
     .rungs = {points<&F::attach_tracepoints, &P::event_perf>("tracepoint")},
     .chosen = true},
    {.what = "the raw tracepoint",
     .rungs = {rung<&P::event_btf>("tp_btf"),
               points<&F::attach_raw_tracepoints, &P::event_raw>("raw_tp")},
     .chosen = true},
    kThreads,
};

// The state of a run.
class Argdist
{
public:
    Argdist(Session& session, Options& options);

    bool attach(Session& session);
    Account make_account() { return instances_.make_account(); }
    void begin();
    void report(bool last);
    void detach();

    Argdist& tracing{*this}; // whom make_run() asks for the account
    Run* run = nullptr;

private:
    void add(std::string_view text, bool is_histogram, const Session& session);
    void choose_value(Counted& counted);
    void prepare(Instance& instance);
    void fill(Capture& capture, Instance& instance);
    std::vector<Need> needs_of(const Instance& instance) const;
    void configure(argdist_bpf& s, const Instance& instance);
    void end_texts(const Instance& instance, std::string& key) const;
    void read(Instance& instance, argdist_bpf& s, std::uint32_t generation);
    void print_counts(Counted& counted, std::uint64_t now);
    void print_histograms(Counted& counted, std::uint64_t now);
    std::string key_text(const Counted& counted, const std::string& key, bool json);

    Options& options_;
    const Session& session_;
    KernelSide kernel_;
    ArgumentWriter writer_;
    std::vector<Counted> counted_;
    std::vector<Instance> instances_of_;
    Instances<argdist_bpf> instances_;
};

Argdist::Argdist(Session& session, Options& options)
    : options_(options), session_(session), kernel_(session), writer_(kernel_.types())
{
    kernel_.lend_types(session);
    kernel_.include(options.includes.texts);
    for (const std::string_view text : options.histograms.texts)
        add(text, true, session);
    for (const std::string_view text : options.counts.texts)
        add(text, false, session);
}

void Argdist::add(std::string_view text, bool is_histogram, const Session& session)
{
    try {
        Counted counted;
        counted.spec = std::make_unique<DistSpec>(text);
        counted.is_histogram = is_histogram;
        choose_value(counted);
        for (Tap& tap : find_taps(*counted.spec->probe, session,
                                  counted.spec->filter || !counted.spec->expressions.empty())) {
            instances_of_.emplace_back();
            instances_of_.back().counted = counted_.size();
            instances_of_.back().tap = std::move(tap);
        }
        counted_.push_back(std::move(counted));
    } catch (const expr::TextError& error) {
        expr::fail_at("cannot trace this", text, error);
    }
}

// The one expression that is measured.
void Argdist::choose_value(Counted& counted)
{
    for (const DistSpec::Expression& e : counted.spec->expressions) {
        const bool measures = counted.is_histogram ? e.use == Use::key || e.use == Use::linear
                                                   : e.use != Use::key && e.use != Use::by;
        if (!measures && (counted.is_histogram ? e.use != Use::by : false))
            throw expr::TextError(e.piece.at, e.piece.text.size(),
                                  "a histogram takes one value, and by()");
        if (measures && !counted.is_histogram && e.use == Use::linear)
            throw expr::TextError(e.piece.at, e.piece.text.size(), "lhist() is for -H");
        if (!measures)
            continue;
        if (counted.value && (counted.is_histogram || counted.value->piece.text != e.piece.text))
            throw expr::TextError(e.piece.at, e.piece.text.size(),
                                  counted.is_histogram ? "a histogram takes one value, and by()"
                                                       : "sum(), avg(), min() and max() take the "
                                                         "same value");
        counted.value = &e;
    }
    if (counted.is_histogram && !counted.value && counted.spec->probe->kind != PlaceKind::returns)
        throw expr::TextError(0, counted.spec->text.size(), "missing the value of the histogram");
    if (counted.value && counted.value->use == Use::linear) {
        constexpr std::int64_t kMostSteps = HIST_ROWS - 2;
        const auto& v = *counted.value;
        if (v.from < 0 || (v.to - v.from + v.step - 1) / v.step > kMostSteps)
            throw expr::TextError(
                v.piece.at, v.piece.text.size(),
                cat("lhist() takes from >= 0 and at most ", kMostSteps, " steps"));
    }
}

// "$entry(size)" is shown as "size", "$entry(file)->f_inode" by its last member.
std::string name_of(const DistSpec& spec, const Piece& piece)
{
    const std::string_view written = piece.at ? spec.written(piece) : piece.text;
    const auto inside = std::ranges::find_if(spec.entries, [&](const Piece& entry) {
        return written == cat("$entry(", entry.text, ")");
    });
    if (inside != spec.entries.end())
        return std::string(inside->text);
    if (piece.text.find_first_of("+-*/(") == piece.text.npos ||
        piece.text.find("->") != piece.text.npos) {
        std::string chain(piece.text);
        std::erase(chain, ' ');
        return chain;
    }
    return std::string(written);
}

void Argdist::fill(Capture& capture, Instance& instance)
{
    const Counted& counted = counted_[instance.counted];
    const DistSpec& spec = *counted.spec;
    const auto type_of = [&](const std::optional<Piece>& piece) {
        if (!piece || piece->text.empty())
            return expr::TypeId::none;
        const std::string parameter = cat(piece->text, " x");
        try {
            const auto parsed = expr::parse_signature(kernel_.types(), parameter);
            return parsed.empty() ? expr::TypeId::none : parsed[0].type;
        } catch (const expr::TextError& error) {
            throw expr::TextError(piece->at, piece->text.size(), error.what(), error.hint);
        }
    };
    if (spec.filter) {
        capture.set_condition(*spec.filter);
        if (!capture.is_decided_by_kernel())
            throw expr::TextError(spec.filter->at, spec.filter->text.size(),
                                  "only user space can decide this, and argdist counts in the "
                                  "kernel");
    }
    const bool is_return = spec.probe->kind == PlaceKind::returns;
    const Piece result{"$retval", 0};
    instance.keys = 0;
    const auto add_key = [&](const Piece& piece, expr::TypeId type) {
        const bool is_text =
            type != expr::TypeId::none && kernel_.types()[type].kind == expr::Type::Kind::pointer;
        capture.add(piece, {.letter = is_text ? 's' : char(0)}, type, name_of(spec, piece));
        instance.keys++;
    };
    for (const DistSpec::Expression& e : spec.expressions)
        if (e.use == Use::by || (e.use == Use::key && !counted.is_histogram))
            add_key(e.piece, type_of(e.type));
    if (spec.expressions.empty() && is_return && !counted.is_histogram)
        add_key(result, expr::TypeId::none);
    capture.lay_out(options_.string_size, true);
    if (counted.value || counted.is_histogram) {
        capture.add(counted.value ? counted.value->piece : result, {.letter = 'd', .bytes = 8},
                    counted.value ? type_of(counted.value->type) : expr::TypeId::none);
        capture.lay_out(options_.string_size);
    }
}

// The names of a place, and those that only argdist has.
expr::Names with_entries(expr::Names names, std::span<const Captured> entries)
{
    const auto find = names.find;
    names.find = [find, entries](expr::Code& code, std::string_view name) {
        if (name == "$PID")
            name = "$tgid";
        if (name == "$COMM")
            name = "$comm";
        expr::Types& types = code.types();
        const auto load = [&](std::size_t offset, expr::TypeId type) {
            return code.add(
                {.op = expr::Op::load,
                 .type = type,
                 .size = 8,
                 .a = code.add({.op = expr::Op::record,
                                .type = types.pointer_to(expr::TypeId::none, expr::Space::kernel)}),
                 .value = std::int64_t(offset)});
        };
        if (name == "$latency")
            return load(offsetof(argdist_record, latency_ns), types.integer(8, false));
        if (name.starts_with("$entry")) {
            const auto n = to_number<std::size_t>(name.substr(6));
            if (n && *n < entries.size())
                return load(offsetof(argdist_record, entry.values) + *n * 8, entries[*n].type);
        }
        return find(code, name);
    };
    return names;
}

void Argdist::prepare(Instance& t)
{
    Counted& counted = counted_[t.counted];
    const DistSpec& spec = *counted.spec;
    ProbeSpec& probe = *spec.probe;
    t.pairs = !spec.entries.empty() || spec.has_latency;
    try {
        if (t.pairs && probe.kind != PlaceKind::returns)
            throw expr::TextError(0, spec.text.size(), "$entry and $latency are for returns",
                                  "use r: instead of p:");
        kernel_.describe(t.tap, probe);
        if (t.pairs) {
            Tap entry = t.tap;
            entry.place.kind = PlaceKind::entry;
            t.entry_place = entry.place;
            Tap at_entry{.place = t.entry_place, .may_be_typed = t.tap.may_be_typed};
            t.entry_forms = kernel_.make_forms(at_entry, probe, kEntryHead, [&](Capture& capture) {
                for (const Piece& piece : spec.entries)
                    capture.add(piece, {.letter = 'd', .bytes = 8});
                capture.lay_out(0, true);
            });
        }
        t.forms = kernel_.make_forms(t.tap, probe, kHead, [&](Capture& capture) {
            const auto& of_entry = t.entry_forms.captures[BODY_TYPED]
                                       ? t.entry_forms.captures[BODY_TYPED]
                                       : t.entry_forms.captures[BODY_PLAIN];
            capture.wrap_names([&](expr::Names names) {
                return with_entries(std::move(names),
                                    of_entry ? of_entry->arguments() : std::span<const Captured>());
            });
            fill(capture, t);
        });
        for (const body_form form : {BODY_TYPED, BODY_PLAIN})
            if (t.pairs && !t.entry_forms.captures[form])
                t.forms.captures[form].reset();
        if (!t.forms.captures[BODY_TYPED] && !t.forms.captures[BODY_PLAIN])
            throw expr::TextError(0, spec.text.size(), "entry and return need different probes");
    } catch (const expr::TextError& error) {
        expr::fail_at("cannot trace this", spec.text, error);
    }
    if (counted.value || counted.is_histogram)
        counted.is_signed = kernel_.types()[t.capture().arguments().back().type].is_signed;
    t.needs = needs_of(t);
    t.probes = std::make_unique<FunctionProbes>(
        t.tap.points, t.tap.place.of_program && session_.pids.size() == 1 ? session_.pids[0] : 0);
    if (t.tap.may_be_typed)
        t.targets[0] = {probe.kind == PlaceKind::raw_tracepoint ? "%event" : "%function",
                        t.tap.points[0].name, t.tap.points[0].module};
}

std::vector<Need> Argdist::needs_of(const Instance& t) const
{
    const bool typed = bool(t.forms.captures[BODY_TYPED]),
               plain = bool(t.forms.captures[BODY_PLAIN]);
    const auto need = [&](Ways one, Ways many) {
        std::vector<Need> needs{kNeeds[std::size_t(typed ? one : many)]};
        if (!plain) // the first of the rungs
            for (std::size_t i = 1; i < needs[0].rungs.size(); i++)
                needs[0].rungs[i] = {};
        if (t.pairs)
            needs.push_back(kThreads);
        return needs;
    };
    const bool of_program = t.tap.place.of_program;
    switch (counted_[t.counted].spec->probe->kind) {
    case PlaceKind::usdt:
        return need(Ways::user, Ways::user);
    case PlaceKind::tracepoint:
        return need(Ways::tracepoint, Ways::tracepoint);
    case PlaceKind::raw_tracepoint:
        return need(Ways::raw, Ways::raw);
    case PlaceKind::entry:
        return of_program ? need(Ways::user, Ways::user) : need(Ways::entry, Ways::entries);
    case PlaceKind::returns:
        if (t.pairs)
            return of_program ? need(Ways::user_pairs, Ways::user_pairs)
                              : need(Ways::pairs, Ways::pairs_many);
        return of_program ? need(Ways::user_returns, Ways::user_returns)
                          : need(Ways::returns, Ways::returns_many);
    }
    return {};
}

void Argdist::configure(argdist_bpf& s, const Instance& t)
{
    const Counted& counted = counted_[t.counted];
    const Capture& capture = t.capture();
    argdist_config config{};
    config.bias = counted.is_signed ? 1ull << 63 : 0;
    config.histogram = counted.is_histogram;
    config.pairs = t.pairs;
    std::uint32_t key_end = capture.record_bytes();
    if (counted.value || counted.is_histogram) {
        const Captured& value = capture.arguments().back();
        config.value_at = value.offset;
        config.value_bit = 1ull << t.keys;
        key_end = value.offset;
    }
    if (counted.value && counted.value->use == Use::linear) {
        const auto& v = *counted.value;
        config.low = std::uint64_t(v.from);
        config.step = std::uint64_t(v.step);
        config.last = std::uint32_t((v.to - v.from + v.step - 1) / v.step) + (v.from ? 1 : 0);
    }
    s.rodata->cfg = config;
    bpf_map__set_key_size(s.maps.argdist_values,
                          key_end - std::uint32_t(offsetof(argdist_record, part)));
    bpf_map__set_value_size(s.maps.body_slots, std::uint32_t(sizeof(body_slot)) +
                                                   t.forms.record_bytes(sizeof(argdist_record)));
    bpf_map__set_max_entries(s.maps.cb_threads, t.pairs ? call_threads_room() : 1);
    bpf_map__set_max_entries(s.maps.cb_entries, t.pairs ? call_threads_room() : 1);
    bpf_map__set_autocreate(s.maps.cb_calls, false);
    s.rodata->cb_functions.count = std::uint32_t(t.tap.points.size());
    t.probes->use(s.maps.cb_function_ids);
    for (bpf_program* program : {s.progs.enter_umulti, s.progs.leave_umulti})
        bpf_program__set_expected_attach_type(program, bpf_attach_type(kUprobeMulti));
}

bool Argdist::attach(Session& session)
{
    for (Instance& t : instances_of_)
        prepare(t);
    for (Instance& t : instances_of_)
        t.object = kernel_.make_object(
            argdist_bpf::elf_bytes, {{t.forms, "body_typed", "body_plain", t.maps},
                                     {t.entry_forms, "entry_typed", "entry_plain", t.entry_maps}});
    for (Instance& t : instances_of_) {
        options_.probes = t.probes.get();
        session.targets = t.tap.may_be_typed ? Targets(t.targets) : Targets();
        instances_.attach(
            session, t.needs, t.object, [&](argdist_bpf& s) { configure(s, t); },
            [](argdist_bpf&, bool) {});
    }
    return !session.check;
}

void Argdist::detach()
{
    auto& all = instances_.all();
    all.front()->bss->cb_call_ending = true;
    for (std::size_t i = 0; i < all.size(); i++)
        if (instances_of_[i].pairs)
            run->account.unreturned += unreturned_frames(all[i]->maps.cb_threads);
    instances_.detach();
    for (const Instance& t : instances_of_) {
        run->account.nested += t.probes->skipped();
        t.probes->detach();
    }
}

void Argdist::begin()
{
    if (Output* const output = run->sink->output(); output && output->format() == Format::csv)
        output->text() += "time_ns,label,key,unit,from,to,count\n";
}

// What stands behind the NUL of an array is no part of the key.
void Argdist::end_texts(const Instance& t, std::string& key) const
{
    for (std::size_t i = 0; i < t.keys; i++) {
        const Captured& a = t.capture().arguments()[i];
        if (a.form != Captured::Form::text)
            continue;
        const std::size_t from = 1 + a.offset - kHead.missing + sizeof(std::uint32_t);
        const std::size_t end =
            std::min<std::size_t>(from + a.room - sizeof(std::uint32_t), key.size());
        const auto nul = std::min(key.find('\0', from), end);
        std::fill(key.begin() + std::ptrdiff_t(nul), key.begin() + std::ptrdiff_t(end), '\0');
    }
}

// Adds what one instance has counted since the last report.
void Argdist::read(Instance& t, argdist_bpf& s, std::uint32_t generation)
{
    Counted& counted = counted_[t.counted];
    const Entries entries(s.maps.argdist_values, generation);
    const std::size_t key_size = bpf_map__key_size(s.maps.argdist_values);
    constexpr std::size_t kKept =
        offsetof(argdist_record, missing) - offsetof(argdist_record, part);
    for (std::size_t i = 0; i < entries.size(); i++) {
        const char* bytes = &entries.key<char>(i);
        std::uint32_t part = 0;
        std::memcpy(&part, bytes, sizeof part);
        std::string key(1, part & ARGDIST_NEGATIVE ? '-' : '+');
        key.append(bytes + kKept, key_size - kKept);
        end_texts(t, key);
        Total& total = counted.totals[key];
        entries.values<hist_part>(i, [&](const hist_part& p) {
            if (counted.is_histogram) {
                total.values.add(p, (part & ~ARGDIST_NEGATIVE) >> HIST_PART_SHIFT);
            } else {
                total.sum += p.totals.sum;
                total.most = std::max<std::uint64_t>(total.most, p.totals.max);
                total.least_inverse =
                    std::max<std::uint64_t>(total.least_inverse, p.totals.min_inv);
            }
            for (const std::uint64_t n : p.slots) {
                total.count += n;
                run->account.printed += n;
            }
        });
    }
}

// "prev_comm = sh, next_comm = cat", or the members of a JSON object.
std::string Argdist::key_text(const Counted& counted, const std::string& key, bool json)
{
    const auto instance = std::ranges::find(instances_of_, std::size_t(&counted - counted_.data()),
                                            &Instance::counted);
    const Capture& capture = instance->capture();
    // A record has the key from its `missing` on.
    std::vector<std::byte> record(sizeof(argdist_record) + key.size());
    std::memcpy(record.data() + kHead.missing, key.data() + 1, key.size() - 1);
    std::string out;
    for (std::size_t i = 0; i < instance->keys; i++) {
        const Captured& a = capture.arguments()[i];
        const CapturedValue value = read_captured(a, i, kHead, record);
        out += out.empty() ? "" : json ? "," : ", ";
        if (json) {
            put_json_key(out, a.name);
            writer_.append_json(out, a, value, {});
            continue;
        }
        std::string text;
        writer_.append_text(text, a, value, {});
        escape_text(out, a.name, false);
        out += " = ";
        escape_text(out, text, false);
    }
    return out;
}

void Argdist::print_counts(Counted& counted, std::uint64_t now)
{
    Output* const output = run->sink->output();
    if (!output)
        return;
    std::string& out = output->text();
    std::vector<const std::pair<const std::string, Total>*> rows;
    for (const auto& row : counted.totals)
        rows.push_back(&row);
    std::ranges::stable_sort(rows, {}, [](const auto* row) { return row->second.count; });
    if (options_.top && rows.size() > options_.top)
        rows.erase(rows.begin(), rows.end() - std::ptrdiff_t(options_.top));
    const bool measured = counted.value != nullptr;
    const std::uint64_t bias = counted.is_signed ? 1ull << 63 : 0;
    const auto number = [&](std::uint64_t n) {
        return counted.is_signed ? cat(std::int64_t(n)) : cat(n);
    };
    if (output->format() == Format::text)
        out += cat(counted.spec->label, "\n\tCOUNT      ",
                   measured ? "SUM          AVG        MIN        MAX        " : "", "EVENT\n");
    for (const auto* row : rows) {
        const Total& t = row->second;
        const std::uint64_t least = ~t.least_inverse ^ bias, most = t.most ^ bias;
        const std::string average = counted.is_signed
                                        ? cat(std::int64_t(t.sum) / std::int64_t(t.count))
                                        : cat(t.sum / t.count);
        if (output->format() == Format::json) {
            out += '{';
            put_json_key(out, "time_ns");
            put_number(out, output->clock().wall_ns(now));
            put_json_key(out, "label");
            put_json_string(out, counted.spec->label);
            put_json_key(out, "keys");
            out += cat("{", key_text(counted, row->first, true), "}");
            put_json_key(out, "count");
            put_number(out, t.count);
            if (measured)
                out += cat(",\"sum\":", number(t.sum), ",\"avg\":", average,
                           ",\"min\":", number(least), ",\"max\":", number(most));
            out += "}\n";
        } else {
            const std::string key = key_text(counted, row->first, false);
            if (output->format() == Format::csv) {
                out += cat(output->clock().wall_ns(now), ",");
                quote_csv(out, counted.spec->label);
                out += ',';
                quote_csv(out, key);
                out += cat(",,,,", t.count, "\n");
            } else {
                out += cat("\t", padded_right(cat(t.count), 10), " ");
                if (measured)
                    for (const auto& [text, width] :
                         {std::pair{number(t.sum), 12}, std::pair{average, 10},
                          std::pair{number(least), 10}, std::pair{number(most), 10}})
                        out += cat(padded_right(text, std::size_t(width)), " ");
                out += cat(key.empty() ? "total calls" : key, "\n");
            }
        }
        output->end_record();
    }
}

void Argdist::print_histograms(Counted& counted, std::uint64_t now)
{
    const std::string unit(counted.value ? name_of(*counted.spec, counted.value->piece)
                                         : "$retval");
    Buckets buckets;
    if (counted.value && counted.value->use == Use::linear) {
        const auto& v = *counted.value;
        buckets = {.step = std::uint64_t(v.step),
                   .low = std::uint64_t(v.from),
                   .last = unsigned((v.to - v.from + v.step - 1) / v.step) + (v.from ? 1 : 0)};
    }
    const HistogramLook look{.unit = {unit, 1}, .buckets = buckets, .stamped = true};
    for (const auto& [key, total] : counted.totals) {
        Row row{counted.spec->label, key_text(counted, key, false)};
        if (key[0] == '-')
            row.key += cat(row.key.empty() ? "" : ", ", "negative, without the sign");
        const std::string summary = cat(row.label, row.key.empty() ? "" : cat(" [", row.key, "]"));
        run->sink->histogram(
            look, {.key = &row, .distribution = &total.values, .mono_ns = now, .summary = summary});
    }
}

void Argdist::report(bool)
{
    auto& all = instances_.all();
    const std::uint32_t generation = Generations(all.front()->bss->cb_generation).flip();
    const std::uint64_t now = monotonic_ns();
    for (std::size_t i = 0; i < all.size(); i++)
        read(instances_of_[i], *all[i].skeleton, generation);
    run->sink->begin_report({.stamped = true}, now);
    for (Counted& counted : counted_) {
        counted.is_histogram ? print_histograms(counted, now) : print_counts(counted, now);
        if (!options_.cumulative)
            counted.totals.clear();
    }
}

// What the kit declares of a tool; the run is Argdist's.
struct ArgdistTool {
    About about;
    std::span<const Option> options;
    std::span<const Option> positionals{};
    std::span<const Letter> letters;
    Columns<Row> columns;
    std::span<const Need> needs;
    Seconds interval{std::chrono::seconds(1)};

    using Skeleton = argdist_bpf;
    using Asked = Options;
    static constexpr Shared kShared = Shared::interval | Shared::filter | Shared::symbols;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        Options& o = *static_cast<Options*>(session->options.get());
        if (o.histograms.texts.empty() && o.counts.texts.empty())
            fail_usage("missing -H SPEC or -C SPEC; for example: argdist -H 'r::vfs_read()'");
        auto state = std::make_unique<Argdist>(*session, o);
        if (!state->attach(*session))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }
};

constexpr ArgdistTool kTool{
    .about = {.name = "argdist",
              .area = "dynamic",
              .summary = "Show distributions of arguments and return values of functions",
              .details = "Counts how often the arguments, return values or fields of functions, "
                         "tracepoints and USDT probes have each value, or shows a histogram of "
                         "them.",
              .examples = kExamples,
              .smoke = {"-H", "r::vfs_read()"}},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
