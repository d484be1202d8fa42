// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/ladder.hpp"
#include "base/text.hpp"
#include "probe/session.hpp"
#include <algorithm>
#include <bpf/libbpf.h>

namespace corebox
{
namespace
{

// What stands in the way of a program of a rung: of its section, and of how it attaches.
Obstacles find_obstacles(const Rung& rung, std::string_view section, const Facts& facts)
{
    // What attaches by perf_event_open(2). A program of "uprobe" does not in a rung that attaches
    // it to many at once.
    constexpr std::string_view kKinds[] = {"kprobe", "kretprobe",  "uprobe",    "uretprobe",
                                           "tp",     "tracepoint", "perf_event"};
    const std::string_view kind = section.substr(0, section.find('/'));
    Obstacles found;
    if (Obstacle o = find_obstacle(section, facts))
        found.push_back(std::move(o));
    if (kind.starts_with("upro") || kind.starts_with("uret"))
        if (!rung.name.ends_with(".multi") && !facts.uprobes)
            found.push_back({facts.sysfs ? Cause::no_uprobes : Cause::no_sysfs});
    if (rung.name.ends_with(".multi") || std::ranges::find(kKinds, kind) == std::end(kKinds) ||
        facts.perf_events())
        return found;
    // A tool learns of a missing function only when it attaches.
    if (!found.empty() && found[0].cause == Cause::no_function)
        found.clear();
    constexpr Cause kAbsent[] = {Cause::no_kprobes, Cause::no_uprobes, Cause::no_tracepoint,
                                 Cause::no_sysfs};
    if (found.empty() || std::ranges::find(kAbsent, found[0].cause) == std::end(kAbsent))
        found.push_back({Cause::no_perf_events});
    return found;
}

Cause tracefs_cause(const Facts& facts)
{
    return facts.tracefs          ? Cause::none
           : !facts.sysfs         ? Cause::no_sysfs
           : facts.tracefs_closed ? Cause::tracefs_hidden
                                  : Cause::no_tracefs;
}

} // namespace

const Target* slot_target(std::string_view section, Targets targets)
{
    const auto slash = section.find('/');
    const auto slot = slash == section.npos ? "" : section.substr(slash + 1);
    const auto found = std::ranges::find(targets, slot, &Target::slot);
    return slot.starts_with('%') && found != targets.end() ? &*found : nullptr;
}

std::string refusal_key(std::string_view program, const Rung& rung)
{
    return cat(program, "/", rung.name);
}

std::string target_section(std::string_view section, Targets targets)
{
    const Target* target = slot_target(section, targets);
    return target ? cat(section.substr(0, section.find('/') + 1), target->function)
                  : std::string(section);
}

bool at_return(std::string_view section)
{
    return section.starts_with("fexit") || section.starts_with("kretprobe") ||
           section.starts_with("uretprobe") || section.starts_with("tracepoint/syscalls/sys_exit_");
}

bool at_return(const bpf_program* program)
{
    return at_return(std::string_view(bpf_program__section_name(program)));
}

Obstacle find_obstacle(std::string_view section, const Facts& facts)
{
    const auto slash = section.find('/');
    const std::string_view kind = section.substr(0, slash);
    std::string target(slash == section.npos ? "" : section.substr(slash + 1));
    if (target.starts_with('%')) // a slot that is filled at run time
        target.clear();
    using enum Facts::Name;
    const auto lacks = [&](Facts::Name what) { return facts.has(what, target) == Answer::no; };
    // Last, after what no setting changes.
    const auto silent = [&]() -> Obstacle {
        if (facts.ftrace == Ftrace::on || !depends_on_ftrace(section))
            return {};
        return ftrace_obstacle(facts.ftrace);
    };

    if (kind == "iter" && !facts.btf)
        return {facts.sysfs ? Cause::no_btf : Cause::no_sysfs};
    if (kind == "fentry" || kind == "fexit" || kind == "fmod_ret" || kind == "tp_btf") {
        if (!facts.btf)
            return {facts.sysfs ? Cause::no_btf : Cause::no_sysfs};
        if (target.empty()) // set before load
            return silent();
        if (kind == "tp_btf")
            return lacks(btf_tracepoint) ? Obstacle{Cause::no_btf_tracepoint, target} : Obstacle{};
        if (lacks(btf_function))
            return {Cause::no_btf_function, target};
        if (lacks(known_argument))
            return {Cause::unknown_argument, target};
        return lacks(ftrace_site) ? Obstacle{Cause::no_ftrace_site, target} : silent();
    }
    if (kind == "tp" || kind == "tracepoint") {
        if (!facts.tracefs)
            return {tracefs_cause(facts)};
        // Without a target it is chosen at run time.
        return !target.empty() && lacks(tracepoint) ? Obstacle{Cause::no_tracepoint, target}
                                                    : Obstacle{};
    }
    if (const auto functions = session_functions(section); !functions.empty()) {
        if (!facts.btf || !facts.session)
            return {Cause::no_sessions};
        const bool any = std::ranges::any_of(functions, [&](std::string_view function) {
            return facts.has(ftrace_site, function) != Answer::no;
        });
        return any ? silent() : Obstacle{Cause::no_function, target};
    }
    if (kind.starts_with("kprobe") || kind.starts_with("kretprobe")) {
        if (!facts.kprobes)
            return {facts.sysfs ? Cause::no_kprobes : Cause::no_sysfs};
        return !target.empty() && lacks(ftrace_site) ? Obstacle{Cause::no_function, target}
                                                     : silent();
    }
    return {};
}

namespace
{

// What stands in the way of a rung; fills the programs it needs.
Obstacles try_rung(const Rung& rung, const void* progs, const Facts& facts, const Refusals& refused,
                   Targets targets, std::vector<bpf_program*>& programs)
{
    if (rung.obstacle)
        if (Obstacle o = rung.obstacle(facts))
            return {std::move(o)};
    if (!rung.function.empty() && facts.btf &&
        facts.has(Facts::Name::own_function, rung.function) == Answer::no)
        return {{Cause::no_kernel_function, std::string(rung.function)}};
    Obstacles last;
    for (const Probe& p : rung.probes) {
        if (!p.program)
            break;
        bpf_program* program = p.program(progs);
        const auto r = refused.find(refusal_key(bpf_program__name(program), rung));
        const std::string section = target_section(bpf_program__section_name(program), targets);
        Obstacles found =
            r != refused.end() ? Obstacles{r->second} : find_obstacles(rung, section, facts);
        if (found.empty())
            programs.push_back(program);
        else if (!p.optional || found[0].cause == Cause::load_refused)
            return found; // not lacking but refused: its other half would be taken alone
        else if (last.empty() || list_fixes(last).empty()) // rather one that can be removed
            last = std::move(found);
    }
    return programs.empty() ? last : Obstacles{};
}

// Whether all that a need's first rung attaches are slots that nothing fills in this run.
bool without_target(const Need& need, const void* progs, Targets targets)
{
    if (targets.empty())
        return false;
    for (const Probe& p : need.rungs[0].probes) {
        if (!p.program)
            break;
        const std::string_view section = bpf_program__section_name(p.program(progs));
        if (section.find("/%") == section.npos || slot_target(section, targets))
            return false;
    }
    return true;
}

// The functions that the slots of a rung's programs were filled with, each once.
std::string slot_functions(std::span<bpf_program* const> programs, Targets targets)
{
    std::vector<std::string_view> functions;
    for (const bpf_program* program : programs)
        if (const Target* target = slot_target(bpf_program__section_name(program), targets);
            target && std::ranges::find(functions, target->function) == functions.end())
            functions.push_back(target->function);
    std::string out;
    for (const std::string_view function : functions)
        out += cat(out.empty() ? "" : ", ", function);
    return out;
}

bool asked(std::string_view option, const std::function<bool(std::string_view)>& given)
{
    if (option.starts_with('!'))
        return !given(option.substr(1));
    return std::ranges::any_of(split(option, '|'), given);
}

} // namespace

std::vector<std::string_view> unknown_rungs(std::span<const Need> needs, std::string_view forced)
{
    std::vector<std::string_view> unknown;
    for (const std::string_view name : split(forced, ','))
        if (!name.empty() && name != "perf_buffer" &&
            std::ranges::none_of(needs, [name](const Need& need) {
                return std::ranges::find(need.rungs, name, &Rung::name) != need.rungs.end();
            }))
            unknown.push_back(name);
    return unknown;
}

std::string list_rungs(std::span<const Need> needs)
{
    std::vector<std::string_view> names;
    for (const Need& need : needs)
        for (const Rung& rung : need.rungs)
            if (!rung.name.empty() && std::ranges::find(names, rung.name) == names.end())
                names.push_back(rung.name);
    std::string out;
    for (const std::string_view name : names)
        out += cat(out.empty() ? "" : ", ", name);
    return out;
}

Plan resolve(std::span<const Need> needs, const void* progs, const Facts& facts,
             const Refusals& refused, const std::function<bool(std::string_view)>& given,
             std::string_view forced, Targets targets)
{
    Plan plan;
    const auto names = split(forced, ',');
    const auto is_forced = [&](const Rung& r) {
        return std::ranges::find(names, r.name) != names.end();
    };
    for (const Need& need : needs) {
        if (!need.option.empty() && !asked(need.option, given))
            continue;
        if (without_target(need, progs, targets))
            continue;
        const bool force = std::ranges::any_of(need.rungs, is_forced);
        bool met = false;
        for (const Rung& rung : need.rungs) {
            if (rung.name.empty() || met)
                break;
            std::vector<bpf_program*> programs;
            Obstacles obstacles = force && !is_forced(rung)
                                      ? Obstacles{{Cause::forced_other, std::string(forced)}}
                                      : try_rung(rung, progs, facts, refused, targets, programs);
            met = obstacles.empty();
            plan.steps.push_back({&need, &rung, met, std::move(obstacles),
                                  met ? slot_functions(programs, targets) : std::string()});
            if (!met)
                continue;
            for (bpf_program* program : programs) {
                if (std::ranges::find(plan.load, program) != plan.load.end())
                    continue;
                plan.load.push_back(program);
                plan.rungs.push_back(&rung);
            }
        }
        if (!met && !need.optional && !plan.unmet)
            plan.unmet = &need;
    }
    return plan;
}

std::string Plan::why_unmet() const
{
    std::string out, names;
    std::string_view last; // forms of one rung, by functions of other kernels, have one name
    for (std::size_t i = 0; i < steps.size(); i++) {
        const Step& step = steps[i];
        if (step.need != unmet)
            continue;
        if (names.empty() || step.rung->name != last)
            names += cat(names.empty() ? "" : ", ", step.rung->name);
        last = step.rung->name;
        const bool same = i + 1 < steps.size() && steps[i + 1].need == unmet &&
                          steps[i + 1].obstacles == step.obstacles;
        if (same)
            continue;
        out += cat(out.empty() ? "" : "; ", names, ": ", describe(step.obstacles));
        names.clear();
    }
    return out;
}

std::string Plan::fix_unmet() const
{
    std::vector<std::string> least;
    for (const Step& step : steps)
        if (step.need == unmet)
            if (auto fixes = list_fixes(step.obstacles);
                !fixes.empty() && (least.empty() || fixes.size() < least.size()))
                least = std::move(fixes);
    return join_fixes(least);
}

std::string Plan::explain() const
{
    std::string out;
    for (std::size_t i = 0; i < steps.size(); i++) {
        const Step& step = steps[i];
        const bool first = i == 0 || steps[i - 1].need != step.need;
        const bool last = i + 1 == steps.size() || steps[i + 1].need != step.need;
        if (first)
            out += cat(step.need->what, ":\n");
        out += cat("  ", step.rung->name, ": ", step.taken ? "taken" : describe(step.obstacles),
                   step.functions.empty() ? "" : cat(" (", step.functions, ")"), "\n");
        if (step.taken && !step.rung->blind.empty())
            out += cat("    not seen: ", step.rung->blind, "\n");
        if (last && !step.taken)
            out += step.need->optional ? cat("  none; not seen: ", step.need->without, "\n")
                                       : "  none\n";
    }
    return out;
}

} // namespace corebox
