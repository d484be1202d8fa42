// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/ladder.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/libbpf.h>

namespace corebox
{

std::string obstacle(std::string_view section, const Facts& facts)
{
    const auto slash = section.find('/');
    const std::string_view kind = section.substr(0, slash);
    const std::string_view target =
        slash == section.npos ? std::string_view{} : section.substr(slash + 1);
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
        return lacks(ftrace_site) ? cat(target, " has no ftrace site") : "";
    }
    if (kind == "tp" || kind == "tracepoint") {
        if (!facts.tracefs)
            return "tracefs is not mounted (mount -t tracefs tracefs /sys/kernel/tracing)";
        return lacks(tracepoint) ? cat("no tracepoint ", target) : "";
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
                     const Refusals& refused, std::vector<bpf_program*>& programs)
{
    std::string last;
    if (rung.obstacle)
        if (std::string reason = rung.obstacle(facts); !reason.empty())
            return reason;
    for (const Probe& p : rung.probes) {
        if (!p.program)
            break;
        bpf_program* program = p.program(progs);
        const auto r = refused.find(std::string_view(bpf_program__name(program)));
        std::string reason =
            r != refused.end() ? r->second : obstacle(bpf_program__section_name(program), facts);
        if (reason.empty())
            programs.push_back(program);
        else if (!p.optional)
            return reason;
        else
            last = std::move(reason);
    }
    return programs.empty() ? last : std::string();
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
             std::string_view forced)
{
    Plan plan;
    const auto names = split(forced, ',');
    const auto is_forced = [&](const Rung& r) {
        return std::ranges::find(names, r.name) != names.end();
    };
    for (const Need& need : needs) {
        if (!need.option.empty() && !asked(need.option, given))
            continue;
        const bool force = std::ranges::any_of(need.rungs, is_forced);
        bool met = false;
        for (const Rung& rung : need.rungs) {
            if (rung.name.empty() || met)
                break;
            std::vector<bpf_program*> programs;
            std::string reason = force && !is_forced(rung)
                                     ? cat("COREBOX_PROBES=", forced)
                                     : try_rung(rung, progs, facts, refused, programs);
            met = reason.empty();
            plan.steps.push_back({&need, &rung, met, std::move(reason)});
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

std::string Plan::explain() const
{
    std::string out;
    for (std::size_t i = 0; i < steps.size(); i++) {
        const Step& step = steps[i];
        const bool first = i == 0 || steps[i - 1].need != step.need;
        const bool last = i + 1 == steps.size() || steps[i + 1].need != step.need;
        if (first)
            out += cat(step.need->what, ":\n");
        out += cat("  ", step.rung->name, ": ", step.taken ? "taken" : step.reason, "\n");
        if (step.taken && !step.rung->blind.empty())
            out += cat("    not seen: ", step.rung->blind, "\n");
        if (last && !step.taken)
            out += step.need->optional ? cat("  none; not seen: ", step.need->without, "\n")
                                       : "  none\n";
    }
    return out;
}

} // namespace corebox
