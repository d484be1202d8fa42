// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Plans: which rung is taken on which kernel. Objects are opened (parsed), nothing is loaded.
#include "base/text.hpp"
#include "cli/command_line.hpp"
#include "cli/doctor.hpp"
#include "probe/ladder.hpp"
#include "session/session.hpp"
#include "tool/tool.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace corebox
{
namespace
{

constexpr const char* kKernels[] = {"5.10", "6.1", "6.12", "7.2"};

std::string facts_text(std::string_view kernel)
{
    const auto text = read_file(cat(SOURCE_DIR "/tests/unit/facts/", kernel, ".txt"));
    EXPECT_TRUE(text) << "no facts of " << kernel << ": run scripts/record-facts";
    return text.value_or("");
}

// The facts without the lines that begin with one of these.
std::string without(std::string_view text, std::initializer_list<std::string_view> prefixes)
{
    std::string out;
    for (const std::string_view line : split(text, '\n'))
        if (std::ranges::none_of(prefixes, [&](auto p) { return line.starts_with(p); }))
            out += cat(line, "\n");
    return out;
}

struct Crippled {
    const char* name;
    std::string facts;
};
std::vector<Crippled> crippled(std::string_view kernel)
{
    const std::string all = facts_text(kernel);
    return {{"no kprobes", without(all, {"kprobes"})},
            {"no tracefs", without(all, {"tracefs", "tracepoint "})},
            {"no BTF", without(all, {"btf", "function "})},
            {"no ring buffer", without(all, {"ring_buffer"})},
            {"no ftrace sites", without(all, {"site "})},
            {"ftrace off", all + "\nftrace_off\n"},
            {"nothing", ""}};
}

const Tool* tool(std::string_view name)
{
    for (const Tool* t : all_tools())
        if (t->about.name == name)
            return t;
    return nullptr;
}

bool never(std::string_view) { return false; }

std::vector<std::string_view> names(std::span<bpf_program* const> programs)
{
    std::vector<std::string_view> out;
    for (const bpf_program* p : programs)
        out.emplace_back(bpf_program__name(p));
    return out;
}

std::vector<std::string_view> taken(const Plan& plan)
{
    std::vector<std::string_view> out;
    for (const Step& step : plan.steps)
        if (step.taken)
            out.push_back(step.rung->name);
    return out;
}

// Runs a test body on opensnoop's ladder: fexit, tracepoint (any of them), kprobe.
class Ladder : public testing::Test
{
protected:
    void on(const std::function<void(const void* progs, std::span<const Need> needs)>& body)
    {
        const Tool* opensnoop = tool("opensnoop");
        ASSERT_TRUE(opensnoop);
        bool opened = false;
        opensnoop->inspect(*opensnoop, [&](const void* progs) {
            opened = true;
            body(progs, opensnoop->needs.first(1));
        });
        ASSERT_TRUE(opened);
    }
};

TEST_F(Ladder, TheFirstRungThatNothingStandsAgainst)
{
    on([](const void* progs, std::span<const Need> needs) {
        const auto first = [&](const Facts& facts) {
            return taken(resolve(needs, progs, facts, {}, never, {}));
        };
        using testing::ElementsAre;
        EXPECT_THAT(first(Facts{}), ElementsAre("fexit"));
        EXPECT_THAT(first(Facts{.btf = false}), ElementsAre("tracepoint"));
        EXPECT_THAT(first(Facts{.btf = false, .tracefs = false}), ElementsAre("kprobe"));
        EXPECT_THAT(first(Facts{.tracefs = false, .kprobes = false}), ElementsAre("fexit"));
        EXPECT_THAT(first(Facts{.btf = false, .tracefs = false, .kprobes = false}), ElementsAre());
    });
}

TEST_F(Ladder, OnlyTheProgramsOfTheTakenRungAreLoaded)
{
    on([](const void* progs, std::span<const Need> needs) {
        const Plan plan = resolve(needs, progs, Facts{}, {}, never, {});
        EXPECT_THAT(names(plan.load), testing::ElementsAre("open_fexit"));
        EXPECT_EQ(plan.rungs.size(), plan.load.size());
        EXPECT_EQ(plan.unmet, nullptr);
        const Plan low =
            resolve(needs, progs, Facts{.btf = false, .tracefs = false}, {}, never, {});
        EXPECT_THAT(names(low.load), testing::ElementsAre("open_kprobe", "open_kretprobe"));
    });
}

// Kernels without uprobes, with perf events alone, and with links of many; no library to attach to.
TEST(Ladders, ProbesOfPrograms)
{
    const Tool* t = tool("threadsnoop");
    if (!t)
        GTEST_SKIP() << "built without threadsnoop";
    t->inspect(*t, [&](const void* progs) {
        const auto on = [&](Facts facts) { return resolve(t->needs, progs, facts, {}, never, {}); };
        const auto recorded = [](std::string_view kernel) {
            return recorded_facts(facts_text(kernel));
        };
        EXPECT_THAT(taken(on(recorded("6.12"))), testing::ElementsAre("tp_btf", "uprobe.multi"));
        EXPECT_THAT(taken(on(recorded("5.10"))), testing::ElementsAre("tp_btf", "uprobe"));
        Facts without = recorded("5.10");
        without.uprobes = false;
        const Plan plan = on(without);
        EXPECT_THAT(taken(plan), testing::ElementsAre("tp_btf"));
        EXPECT_EQ(plan.steps.back().obstacles, (Obstacles{{Cause::no_uprobes}}));
        EXPECT_THAT(list_fixes(plan.steps.back().obstacles),
                    testing::ElementsAre("boot a kernel with CONFIG_UPROBE_EVENTS=y"));
        Facts empty = recorded("6.12");
        empty.user_site = [](const UserSite&) { return Obstacle{Cause::no_object, "libc"}; };
        EXPECT_NE(on(empty).explain().find("found no library libc in any process"),
                  std::string::npos);
        const Diagnosis d = diagnose(*t, empty);
        EXPECT_EQ(d.status, Diagnosis::Status::partial);
        EXPECT_THAT(d.unseen, testing::Contains("FUNC"));
    });
}

// A kernel without CONFIG_FAIR_GROUP_SCHED.
TEST(Ladders, RunQueuesThatTasksDoNotKnow)
{
    for (const char* name : {"runqlen", "cpuunclaimed"}) {
        const Tool* t = tool(name);
        if (!t)
            continue;
        t->inspect(*t, [&](const void* progs) {
            const std::string all = facts_text("6.12");
            const auto on = [&](std::string_view more) {
                return resolve(t->needs, progs, recorded_facts(cat(all, more)), {}, never, {});
            };
            EXPECT_THAT(taken(on("")), testing::ElementsAre("cpu-clock"));
            const Plan plan = on("\nlacks_member sched_entity.cfs_rq\n");
            EXPECT_THAT(taken(plan), testing::ElementsAre("runqueues"));
            EXPECT_NE(plan.explain().find("CONFIG_FAIR_GROUP_SCHED"), std::string::npos);
        });
    }
}

TEST_F(Ladder, UnmetNeedIsNamedWithEveryReason)
{
    on([](const void* progs, std::span<const Need> needs) {
        const Plan plan = resolve(
            needs, progs, Facts{.btf = false, .tracefs = false, .kprobes = false}, {}, never, {});
        ASSERT_EQ(plan.unmet, &needs[0]);
        EXPECT_TRUE(plan.load.empty());
        EXPECT_EQ(plan.explain(), "opens as they return:\n"
                                  "  fexit: the kernel provides no BTF "
                                  "(CONFIG_DEBUG_INFO_BTF)\n"
                                  "  tracepoint: tracefs is not mounted\n"
                                  "  kprobe: the kernel has no kprobes (CONFIG_KPROBE_EVENTS)\n"
                                  "  none\n");
        EXPECT_EQ(plan.fix_unmet(), "mount -t tracefs tracefs /sys/kernel/tracing");
    });
}

TEST_F(Ladder, RefusedByTheKernelFallsToTheNext)
{
    on([](const void* progs, std::span<const Need> needs) {
        const Refusals refused = {
            {"open_fexit/fexit", {Cause::attach_refused, "Operation not supported"}}};
        const Plan plan = resolve(needs, progs, Facts{}, refused, never, {});
        EXPECT_THAT(taken(plan), testing::ElementsAre("tracepoint"));
        EXPECT_EQ(plan.explain(), "opens as they return:\n"
                                  "  fexit: attach: Operation not supported\n"
                                  "  tracepoint: taken\n"
                                  "    not seen: opens of 32-bit programs\n");
    });
}

TEST_F(Ladder, AnyOfStandsWithoutSomeOfItsPrograms)
{
    on([](const void* progs, std::span<const Need> needs) {
        Facts facts{.btf = false};
        facts.has = [](Facts::Name, std::string_view name) {
            return name.ends_with("_open") || name.ends_with("_creat") ? Answer::no : Answer::yes;
        };
        const Plan arm = resolve(needs, progs, facts, {}, never, {});
        EXPECT_THAT(names(arm.load), testing::ElementsAre("enter_openat", "leave_openat",
                                                          "enter_openat2", "leave_openat2"));
        facts.has = [](Facts::Name kind, std::string_view) {
            return kind == Facts::Name::tracepoint ? Answer::no : Answer::yes;
        };
        EXPECT_THAT(taken(resolve(needs, progs, facts, {}, never, {})),
                    testing::ElementsAre("kprobe"));
    });
}

// The beginnings of calls without their ends would be a rung that shows nothing.
TEST_F(Ladder, AnyOfFallsWhereTheVerifierRefusesOne)
{
    on([](const void* progs, std::span<const Need> needs) {
        const Refusals refused = {
            {"leave_openat/tracepoint", {Cause::load_refused, "Invalid argument"}}};
        const Plan plan = resolve(needs, progs, Facts{.btf = false}, refused, never, {});
        EXPECT_THAT(taken(plan), testing::ElementsAre("kprobe"));
        const Refusals lacking = {
            {"enter_openat2/tracepoint", {Cause::attach_refused, "No such file or directory"}}};
        EXPECT_THAT(taken(resolve(needs, progs, Facts{.btf = false}, lacking, never, {})),
                    testing::ElementsAre("tracepoint"));
    });
}

TEST_F(Ladder, ForcedRungs)
{
    on([](const void* progs, std::span<const Need> needs) {
        const auto forced = [&](std::string_view names, Facts facts = {}) {
            return taken(resolve(needs, progs, facts, {}, never, names));
        };
        using testing::ElementsAre;
        EXPECT_THAT(forced("kprobe"), ElementsAre("kprobe"));
        EXPECT_THAT(forced("tracepoint"), ElementsAre("tracepoint"));
        EXPECT_THAT(forced("kprobe,tracepoint"), ElementsAre("tracepoint"));
        EXPECT_THAT(forced("perf_buffer"), ElementsAre("fexit")); // no rung of this need
        EXPECT_THAT(forced("kprobe", Facts{.kprobes = false}), ElementsAre()); // no way around it
        const Plan plan = resolve(needs, progs, Facts{}, {}, never, "kprobe");
        EXPECT_EQ(plan.explain(), "opens as they return:\n"
                                  "  fexit: COREBOX_PROBES=kprobe\n"
                                  "  tracepoint: COREBOX_PROBES=kprobe\n"
                                  "  kprobe: taken\n");
    });
}

TEST_F(Ladder, OptionsAndOptionalNeeds)
{
    on([](const void* progs, std::span<const Need> needs) {
        Need with = needs[0], without = needs[0], optional = needs[0];
        with.option = "queued";
        without.option = "!queued";
        optional.optional = true;
        optional.without = "opens of nobody";
        const auto given = [](std::string_view name) { return name == "queued"; };
        const Facts nothing{.btf = false, .tracefs = false, .kprobes = false};

        EXPECT_TRUE(resolve({&with, 1}, progs, nothing, {}, never, {}).steps.empty());
        EXPECT_EQ(resolve({&with, 1}, progs, nothing, {}, given, {}).unmet, &with);
        EXPECT_EQ(resolve({&without, 1}, progs, nothing, {}, never, {}).unmet, &without);
        EXPECT_TRUE(resolve({&without, 1}, progs, nothing, {}, given, {}).steps.empty());
        const Plan plan = resolve({&optional, 1}, progs, nothing, {}, never, {});
        EXPECT_EQ(plan.unmet, nullptr);
        EXPECT_THAT(plan.explain(), testing::EndsWith("  none; not seen: opens of nobody\n"));
    });
}

TEST_F(Ladder, AProgramOfTwoNeedsIsLoadedOnce)
{
    on([](const void* progs, std::span<const Need> needs) {
        const Need twice[] = {needs[0], needs[0]};
        const Plan plan = resolve(twice, progs, Facts{}, {}, never, {});
        EXPECT_EQ(plan.load.size(), 1u);
        EXPECT_EQ(plan.rungs.size(), 1u);
        EXPECT_EQ(taken(plan).size(), 2u);
    });
}

TEST(Obstacle, EveryKindOfSection)
{
    const Facts facts = recorded_facts("btf\ntracefs\nkprobes\n"
                                       "function vfs_read\nsite vfs_read\nfunction vfs_fsync\n"
                                       "site old_function\nbtf_tracepoint sched_switch\n"
                                       "tracepoint sched/sched_switch\nsession\n"
                                       "# asked nothing at all\n");
    for (const std::string_view good :
         {"fentry/vfs_read", "fexit/vfs_read", "kprobe/vfs_read", "kretprobe/vfs_read",
          "kprobe/old_function", "tp_btf/sched_switch", "tracepoint/sched/sched_switch",
          "tp/sched/sched_switch", "perf_event", "raw_tp/sched_switch", "fentry",
          "kprobe.session/vfs_read", "kprobe.session/vfs_gone,vfs_read"})
        EXPECT_FALSE(find_obstacle(good, facts)) << good;
    const auto expect = [&](std::string_view section, const Obstacle& o) {
        EXPECT_EQ(find_obstacle(section, facts), o) << section;
    };
    expect("fentry/old_function", {Cause::no_btf_function, "old_function"});
    expect("fexit/vfs_fsync", {Cause::no_ftrace_site, "vfs_fsync"});
    expect("kprobe/vfs_fsync", {Cause::no_function, "vfs_fsync"});
    expect("tp_btf/sched_wakeup", {Cause::no_btf_tracepoint, "sched_wakeup"});
    expect("tp/sched/sched_wakeup", {Cause::no_tracepoint, "sched/sched_wakeup"});
    expect("kprobe.session/vfs_fsync,vfs_gone", {Cause::no_function, "vfs_fsync,vfs_gone"});
    const Facts old = recorded_facts("btf\nkprobes\nsite vfs_read\n");
    EXPECT_EQ(find_obstacle("kprobe.session/vfs_read", old).cause, Cause::no_sessions);
    EXPECT_FALSE(find_obstacle("kprobe/vfs_read", old));
    const Facts none = recorded_facts("");
    EXPECT_FALSE(none.btf || none.tracefs || none.kprobes || none.ring_buffer || none.session);
    EXPECT_EQ(find_obstacle("tp_btf/sched_switch", none).cause, Cause::no_btf);
    Facts bare = none;
    bare.sysfs = false;
    for (const char* section : {"fentry/vfs_read", "kprobe/vfs_read", "tp/sched/sched_switch"})
        EXPECT_EQ(find_obstacle(section, bare).cause, Cause::no_sysfs) << section;
}

// What attaches by ftrace never fires while it is off; of what is not there at all that is said
// first, which no setting changes.
TEST(Obstacle, FtraceThatIsOff)
{
    Facts facts = recorded_facts("btf\ntracefs\nkprobes\nsession\nftrace_off\n"
                                 "function vfs_read\nsite vfs_read\n"
                                 "btf_tracepoint sched_switch\n"
                                 "tracepoint sched/sched_switch\n");
    for (const std::string_view section :
         {"fentry/vfs_read", "fexit/vfs_read", "fexit", "kprobe.multi", "kprobe.session/vfs_read"})
        EXPECT_EQ(find_obstacle(section, facts).cause, Cause::ftrace_off) << section;
#ifdef __x86_64__
    EXPECT_EQ(find_obstacle("kretprobe/vfs_read", facts).cause, Cause::ftrace_off);
#endif
    for (const std::string_view section : {"tp_btf/sched_switch", "raw_tp/sched_switch", "uprobe",
                                           "tracepoint/sched/sched_switch", "perf_event"})
        EXPECT_FALSE(find_obstacle(section, facts)) << section;
    EXPECT_EQ(find_obstacle("fentry/vfs_gone", facts).cause, Cause::no_btf_function);
    facts.ftrace = Ftrace::dead;
    EXPECT_EQ(find_obstacle("fentry/vfs_read", facts).fix(), "reboot");
}

TEST(Forced, NamesThatNoProbeHas)
{
    constexpr Need kNeeds[] = {{.what = "calls", .rungs = {Rung{"fexit"}, Rung{"kprobe"}}},
                               {.what = "more", .rungs = {Rung{"fexit"}, Rung{"tp_btf"}}}};
    using testing::ElementsAre;
    EXPECT_THAT(unknown_rungs(kNeeds, ""), ElementsAre());
    EXPECT_THAT(unknown_rungs(kNeeds, "perf_buffer,kprobe"), ElementsAre());
    EXPECT_THAT(unknown_rungs(kNeeds, "kprobe,nonsense"), ElementsAre("nonsense"));
    EXPECT_EQ(list_rungs(kNeeds), "fexit, kprobe, tp_btf");
}

// Every tool, with each of its options, on every kernel.
void each_plan(const Tool& t, const Facts& facts,
               const std::function<void(const Plan&, std::string_view option)>& check)
{
    t.inspect(t, [&](const void* progs) {
        std::set<std::string_view> options = {""};
        for (const Need& need : t.needs)
            for (const std::string_view name :
                 split(need.option.substr(need.option.starts_with('!')), '|'))
                options.insert(name);
        for (const std::string_view option : options)
            check(resolve(t.needs, progs, facts, {},
                          [&](std::string_view name) { return name == option; }, {}),
                  option);
    });
}

class EveryTool : public testing::TestWithParam<std::tuple<const char*, const Tool*>>
{
protected:
    const char* kernel() const { return std::get<0>(GetParam()); }
    const Tool& tool() const { return *std::get<1>(GetParam()); }
};

TEST_P(EveryTool, FactsWereRecordedForItsPrograms)
{
    const std::string text = facts_text(kernel());
    const auto lines = split(text, '\n');
    const std::set<std::string_view> recorded(lines.begin(), lines.end());
    bool opened = false;
    tool().inspect(tool(), [&](const void* progs) {
        opened = true;
        for (const Need& need : tool().needs)
            for (const Rung& rung : need.rungs)
                for (const Probe& probe : rung.probes) {
                    if (!probe.program)
                        continue;
                    const std::string_view section =
                        bpf_program__section_name(probe.program(progs));
                    const auto kind = section.substr(0, section.find('/'));
                    const bool asked = kind != section && !kind.starts_with("raw") &&
                                       !kind.ends_with("uprobe") && kind != "iter" &&
                                       kind != "usdt" && section.find("/%") == section.npos;
                    EXPECT_TRUE(!asked || recorded.contains(cat("# asked ", section)))
                        << section << " was never looked up: run scripts/record-facts";
                }
    });
    EXPECT_TRUE(opened || tool().needs.empty()) << "the BPF object does not open";
}

TEST_P(EveryTool, HasAPlan)
{
    const Facts facts = recorded_facts(facts_text(kernel()));
    // The only way that there is, and a kernel before 6.6 does not have it.
    const bool is_refused =
        tool().about.name == "mptcpify" &&
        facts.has(Facts::Name::own_function, "update_socket_protocol") == Answer::no;
    each_plan(tool(), facts, [&](const Plan& plan, std::string_view option) {
        EXPECT_EQ(plan.unmet != nullptr, is_refused) << "--" << option << ":\n" << plan.explain();
        if (is_refused)
            return;
        EXPECT_FALSE(plan.load.empty());
    });
}

// On a crippled kernel a tool takes only what is there, or says what is not.
TEST_P(EveryTool, OnCrippledKernels)
{
    for (const auto& [name, text] : crippled(kernel())) {
        const Facts facts = recorded_facts(text);
        each_plan(tool(), facts, [&](const Plan& plan, std::string_view option) {
            for (const bpf_program* p : plan.load)
                EXPECT_FALSE(find_obstacle(bpf_program__section_name(p), facts))
                    << name << " --" << option;
            for (const Step& step : plan.steps) {
                EXPECT_EQ(step.taken, step.obstacles.empty()) << name << ": " << step.rung->name;
            }
            if (plan.unmet) {
                EXPECT_THAT(plan.steps, testing::Contains(testing::Field(&Step::need, plan.unmet)))
                    << name << ": no rung was tried";
            }
        });
    }
}

std::string parameter_name(const testing::TestParamInfo<std::tuple<const char*, const Tool*>>& info)
{
    std::string name = cat(std::get<1>(info.param)->about.name, "_", std::get<0>(info.param));
    std::ranges::replace_if(
        name, [](char c) { return c == '.' || c == '-'; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryTool,
                         testing::Combine(testing::ValuesIn(kKernels),
                                          testing::ValuesIn(all_tools())),
                         parameter_name);

TEST(Opensnoop, RunsOnEveryKernelThatLacksOneThing)
{
    const Tool* opensnoop = tool("opensnoop");
    for (const char* kernel : kKernels)
        for (const auto& [name, text] : crippled(kernel)) {
            each_plan(*opensnoop, recorded_facts(text), [&](const Plan& plan, std::string_view) {
                EXPECT_EQ(plan.unmet == nullptr, std::string_view(name) != "nothing")
                    << kernel << ", " << name;
            });
        }
}

// What the compiler cannot check about a declaration.
class Declaration : public testing::TestWithParam<const Tool*>
{
};

TEST_P(Declaration, IsWellFormed)
{
    const Tool& t = *GetParam();
    EXPECT_FALSE(t.about.summary.empty());
    EXPECT_FALSE(t.about.summary.ends_with('.'));
    EXPECT_TRUE(t.about.summary[0] >= 'A' && t.about.summary[0] <= 'Z') << t.about.summary;
    EXPECT_FALSE(t.about.examples.empty()) << "help and man page show examples";
    for (const Example& e : t.about.examples)
        EXPECT_TRUE(find_tool(split(e.command, ' ').at(0)).tool == &t ||
                    e.command.find(t.about.name) != std::string_view::npos)
            << e.command;
    std::set<char> letters;
    for (const Option& o : t.options)
        if (o.key) {
            EXPECT_TRUE(letters.insert(o.key).second) << "-" << o.key << " twice";
        }
    for (const Letter& l : t.letters)
        EXPECT_TRUE(letters.insert(l.key).second) << "-" << l.key << " twice";
    std::set<std::string_view> long_names;
    for (const Option& o : t.options)
        EXPECT_TRUE(long_names.insert(o.name).second) << "--" << o.name << " twice";
    const auto has_option = [&](std::string_view name) {
        const auto schema_name = cat("{\"name\":\"", name, "\"");
        // One whose name the tool has for something else goes by its other name.
        const auto options = listed_options(t);
        return long_names.contains(name) || schema(t).find(schema_name) != std::string::npos ||
               std::ranges::any_of(options,
                                   [&](const ListedOption& l) { return l.option->name == name; });
    };
    for (const Letter& l : t.letters)
        EXPECT_TRUE(has_option(l.name)) << "letter -" << l.key << " for --" << l.name;
    for (const Column& c : t.columns) {
        for (const std::string_view name : split(c.show.option, '|'))
            EXPECT_TRUE(has_option(name)) << "column " << c.key << ": --" << name;
    }
    for (const Need& need : t.needs) {
        EXPECT_FALSE(need.what.empty());
        EXPECT_FALSE(need.rungs[0].name.empty()) << need.what;
        if (need.optional) {
            EXPECT_FALSE(need.without.empty()) << need.what << ": what is not seen?";
        }
        if (!need.option.empty()) {
            for (const std::string_view name :
                 split(need.option.substr(need.option[0] == '!'), '|'))
                EXPECT_TRUE(name == "--" || has_option(name)) << need.option; // "--": a command
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, Declaration, testing::ValuesIn(all_tools()), [](const auto& info) {
    std::string name(info.param->about.name);
    std::ranges::replace(name, '-', '_');
    return name;
});

} // namespace
} // namespace corebox
