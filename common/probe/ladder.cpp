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

constexpr std::string_view kNoPerfEvents =
    "perf events want CAP_SYS_ADMIN while kernel.perf_event_paranoid is above 2";

// What stands against a program of a rung that attaches by perf_event_open(2), beside its section.
// One of "uprobe" does not in a rung that attaches it to many at once.
std::string perf_obstacle(const Rung& rung, std::string_view section, const Facts& facts)
{
    constexpr std::string_view kKinds[] = {"kprobe", "kretprobe",  "uprobe",    "uretprobe",
                                           "tp",     "tracepoint", "perf_event"};
    const std::string_view kind = section.substr(0, section.find('/'));
    if (rung.name.ends_with(".multi") || std::ranges::find(kKinds, kind) == std::end(kKinds) ||
        facts.perf_events())
        return {};
    // A missing function is not told here: a tool learns of it only when it attaches.
    const bool tracepoint = kind == "tp" || kind == "tracepoint";
    const bool kprobe = kind == "kprobe" || kind == "kretprobe";
    std::string also = tracepoint || (kprobe && !facts.kprobes) ? obstacle(section, facts) : "";
    if (!also.empty() && (kprobe || facts.tracefs))
        return also; // not there at all: no setting mends that
    return cat(also, also.empty() ? "" : "; ", kNoPerfEvents);
}

std::string no_tracefs(const Facts& facts)
{
    if (facts.tracefs)
        return {};
    return facts.tracefs_closed
               ? "tracefs is not readable here (needs CAP_DAC_READ_SEARCH, or a mount for a group)"
               : "tracefs is not mounted (mount -t tracefs tracefs /sys/kernel/tracing)";
}

} // namespace

const Target* slot_target(std::string_view section, Targets targets)
{
    const auto slash = section.find('/');
    const auto slot = slash == section.npos ? "" : section.substr(slash + 1);
    const auto found = std::ranges::find(targets, slot, &Target::slot);
    return slot.starts_with('%') && found != targets.end() ? &*found : nullptr;
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

std::string obstacle(std::string_view section, const Facts& facts)
{
    const auto slash = section.find('/');
    const std::string_view kind = section.substr(0, slash);
    std::string_view target =
        slash == section.npos ? std::string_view{} : section.substr(slash + 1);
    if (target.starts_with('%')) // a slot that is filled at run time
        target = {};
    using enum Facts::Name;
    const auto lacks = [&](Facts::Name what) { return facts.has(what, target) == Answer::no; };

    if (kind == "fentry" || kind == "fexit" || kind == "tp_btf") {
        if (!facts.btf)
            return "no kernel BTF (CONFIG_DEBUG_INFO_BTF)";
        if (target.empty()) // set before load
            return {};
        if (kind == "tp_btf")
            return lacks(btf_tracepoint) ? cat("no tracepoint ", target, " in BTF") : "";
        if (lacks(btf_function))
            return cat("no function ", target, " in BTF");
        if (lacks(known_argument))
            return cat("BTF does not tell the argument of ", target);
        return lacks(ftrace_site) ? cat(target, " has no ftrace site") : "";
    }
    if (kind == "tp" || kind == "tracepoint") {
        if (!facts.tracefs)
            return no_tracefs(facts);
        if (target.empty()) // chosen at run time
            return {};
        return lacks(tracepoint) ? cat("no tracepoint ", target) : "";
    }
    if (const auto functions = session_functions(section); !functions.empty()) {
        if (!facts.btf || !facts.session)
            return "no kprobe sessions (6.10)";
        const bool any = std::ranges::any_of(functions, [&](std::string_view function) {
            return facts.has(ftrace_site, function) != Answer::no;
        });
        return any ? "" : cat("no function ", target);
    }
    if (kind.starts_with("kprobe") || kind.starts_with("kretprobe")) {
        if (!facts.kprobes)
            return "no kprobes (CONFIG_KPROBE_EVENTS)";
        if (target.empty())
            return {};
        return lacks(ftrace_site) ? cat("no function ", target) : "";
    }
    return {};
}

namespace
{

// Whether a rung can be tried; fills the programs it needs.
std::string try_rung(const Rung& rung, const void* progs, const Facts& facts,
                     const Refusals& refused, Targets targets, std::vector<bpf_program*>& programs)
{
    std::string last;
    if (rung.obstacle)
        if (std::string reason = rung.obstacle(facts); !reason.empty())
            return reason;
    if (!rung.function.empty() && facts.btf &&
        facts.has(Facts::Name::own_function, rung.function) == Answer::no)
        return cat("this kernel has no ", rung.function, "()");
    for (const Probe& p : rung.probes) {
        if (!p.program)
            break;
        bpf_program* program = p.program(progs);
        const auto r = refused.find(std::string_view(bpf_program__name(program)));
        const std::string section = target_section(bpf_program__section_name(program), targets);
        std::string reason = r != refused.end() ? r->second : perf_obstacle(rung, section, facts);
        if (reason.empty())
            reason = obstacle(section, facts);
        if (reason.empty())
            programs.push_back(program);
        else if (!p.optional || reason.starts_with(kRefusedLoad))
            return reason; // not lacking but refused: its other half would be taken alone
        else
            last = std::move(reason);
    }
    return programs.empty() ? last : std::string();
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
            std::string reason = force && !is_forced(rung)
                                     ? cat("COREBOX_PROBES=", forced)
                                     : try_rung(rung, progs, facts, refused, targets, programs);
            met = reason.empty();
            plan.steps.push_back({&need, &rung, met, std::move(reason),
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
    for (std::size_t i = 0; i < steps.size(); i++) {
        const Step& step = steps[i];
        if (step.need != unmet)
            continue;
        names += cat(names.empty() ? "" : ", ", step.rung->name);
        const bool same = i + 1 < steps.size() && steps[i + 1].need == unmet &&
                          steps[i + 1].reason == step.reason;
        if (same)
            continue;
        out += cat(out.empty() ? "" : "; ", names, ": ", step.reason);
        names.clear();
    }
    return out;
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
        out += cat("  ", step.rung->name, ": ", step.taken ? "taken" : step.reason,
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
