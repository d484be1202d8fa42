// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/doctor.hpp"
#include "cli/command_line.hpp"
#include "tool/option.hpp"
#include "kernel/types.hpp"
#include "probe/ladder.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <gelf.h>
#include <memory>
#include <optional>
#include <unistd.h>

namespace corebox
{
namespace
{

using Status = Diagnosis::Status;

std::string_view word(Status status)
{
    constexpr std::string_view kWords[] = {"runs", "runs with less", "may run", "cannot run"};
    return kWords[int(status)];
}

// What mends a cause, by a word that only this cause has.
constexpr std::pair<std::string_view, std::string_view> kRemedies[] = {
    {"tracefs is not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"},
    {"tracefs is not readable",
     "setcap cap_bpf,cap_perfmon,cap_dac_read_search+ep $(command -v corebox)"},
    {"perf_event_paranoid", "sysctl kernel.perf_event_paranoid=2"},
    {"CONFIG_KPROBE_EVENTS", "a kernel with CONFIG_KPROBE_EVENTS=y"},
};

// All that has to be done against one cause, as commands.
std::vector<std::string> remedies_of(std::string_view cause)
{
    std::vector<std::string> remedies;
    for (const auto& [mark, remedy] : kRemedies)
        if (cause.find(mark) != cause.npos)
            remedies.emplace_back(remedy);
    // "... is not loaded (modprobe kvm_intel or kvm_amd)"
    if (const auto at = cause.find("(modprobe "); at != cause.npos)
        remedies.emplace_back(cause.substr(at + 1, cause.find(')', at) - at - 1));
    return remedies;
}

std::string in_turn(const std::vector<std::string>& remedies)
{
    std::string out;
    for (const std::string& remedy : remedies)
        out += cat(out.empty() ? "" : " && ", remedy);
    return out;
}

// What lets one rung of the unmet need be taken, and takes the least.
std::string remedy_of(const Plan& plan)
{
    std::vector<std::string> least;
    for (const Step& step : plan.steps)
        if (step.need == plan.unmet)
            if (auto remedies = remedies_of(step.reason);
                !remedies.empty() && (least.empty() || remedies.size() < least.size()))
                least = std::move(remedies);
    return in_turn(least);
}

void add_once(std::vector<std::string>& to, std::string_view text)
{
    if (!text.empty() && std::ranges::find(to, text) == to.end())
        to.emplace_back(text);
}

// What the columns read: a diagnosis, and what is made of it.
struct Row {
    explicit Row(const Diagnosis& of)
        : d(of), probes(d.probes.begin(), d.probes.end()), unseen(d.unseen.begin(), d.unseen.end()),
          why(d.cause)
    {
        if (!d.remedy.empty())
            why += cat(". Mend: ", d.remedy);
        if (d.status == Status::runs_with_less)
            for (const std::string& text : d.unseen)
                why += cat(why.empty() ? "not seen: " : "; ", text);
    }

    const Diagnosis& d;
    std::vector<std::string_view> probes, unseen;
    std::string why;
};

Value text_or_absent(const std::string& text)
{
    if (text.empty())
        return Absent{};
    return std::string_view(text);
}

template <auto Member>
constexpr auto list_of = [](const Row& row) -> Value {
    const auto& all = row.*Member;
    if (all.empty())
        return Absent{};
    return List{all.data(), all.size()};
};

constexpr Column kColumns[] = {
    col<[](const Row& row) -> Value { return Trusted{row.d.tool->about.name}; }>(
        "tool", "TOOL", 15, "Name of the tool"),
    col<[](const Row& row) -> Value { return Trusted{word(row.d.status)}; }>(
        "status", "STATUS", 14, "runs, runs with less, may run, or cannot run"),
    col<list_of<&Row::probes>>("probes", "PROBES", 16, "The kinds of probes it will take"),
    col<[](const Row& row) { return text_or_absent(row.d.cause); }>(
        "cause", "CAUSE", 0, "What stands in its way", kJsonOnly),
    col<[](const Row& row) { return text_or_absent(row.d.remedy); }>("remedy", "REMEDY", 0,
                                                                     "What mends that", kJsonOnly),
    col<list_of<&Row::unseen>>("not_seen", "NOT_SEEN", 0, "What it will not see", kJsonOnly),
    col<[](const Row& row) { return std::string_view(row.why); }>(
        "why", "WHY", 0, "Cause and remedy, or what is not seen"),
};

// Whether a BPF object has CO-RE relocations: they are listed in its section .BTF.ext (the kernel's
// Documentation/bpf/btf.rst). libbpf then loads it only where it finds the kernel's types.
bool looks_at_types(std::span<const std::byte> object)
{
    ::elf_version(EV_CURRENT);
    auto* bytes = const_cast<char*>(reinterpret_cast<const char*>(object.data()));
    const std::unique_ptr<Elf, int (*)(Elf*)> elf(::elf_memory(bytes, object.size()), ::elf_end);
    std::size_t names = 0;
    if (!elf || ::elf_getshdrstrndx(elf.get(), &names) != 0)
        return true;
    for (Elf_Scn* s = nullptr; (s = ::elf_nextscn(elf.get(), s)) != nullptr;) {
        GElf_Shdr header;
        if (!::gelf_getshdr(s, &header))
            return true;
        const char* name = ::elf_strptr(elf.get(), names, header.sh_name);
        if (!name || std::string_view(name) != ".BTF.ext")
            continue;
        const Elf_Data* data = ::elf_rawdata(s, nullptr);
        // magic, version, flags, length of the header; offset and length of information about
        // functions, about lines, and of relocations.
        std::uint32_t words[8]{};
        if (!data || data->d_size < sizeof words)
            return true;
        std::memcpy(words, data->d_buf, sizeof words);
        return words[1] >= sizeof words && words[7] != 0;
    }
    return false;
}

struct Options {
    std::vector<std::string_view> tools;
};

constexpr Option kPositionals[] = {
    opt<&Options::tools>(0, "tool", "TOOL", "Only these tools, separated by commas"),
};

constexpr Example kExamples[] = {
    {"corebox doctor", "every tool, a line each"},
    {"corebox doctor execsnoop", "one; status 2 if it cannot run"},
    {"corebox doctor --json", "for a fleet"},
};

std::vector<const Tool*> asked(const Options& options)
{
    if (options.tools.empty())
        return all_tools();
    std::vector<const Tool*> tools;
    for (const std::string_view name : options.tools) {
        const Called called = find_tool(name);
        if (!called.tool)
            fail_usage(cat("no tool '", name, "' (corebox list shows them)"));
        tools.push_back(called.tool);
    }
    return tools;
}

constexpr Tool kDoctor{
    .about = {.name = "doctor",
              .area = "corebox",
              .summary = "Tell which tools run on this machine, and what the others lack",
              .details =
                  "One line a tool: whether it runs with its default options, the kinds of probes "
                  "it will take, what it will not see, or what stands in its way and what mends "
                  "it. Nothing is loaded into the kernel; a verifier's refusal shows only when the "
                  "tool is started.",
              .examples = kExamples},
    .options = {},
    .positionals = kPositionals,
    .letters = {},
    .columns = kColumns,
    .needs = {},
    .shared = Shared::none,
    .interval = {},
    .make_options = nullptr,
    .open = nullptr,
    .inspect = [](const Tool&, const std::function<void(const void*)>&) {},
};

} // namespace

Hindrance hindrance(bool types_known)
{
    if (const auto missing = missing_capabilities(); !missing.empty())
        return {cat("no ", missing),
                "run it as root, or: setcap cap_bpf,cap_perfmon+ep $(command -v corebox)"};
    if (lockdown_mode() == "confidentiality")
        return {"kernel lockdown is in mode confidentiality: no program that reads kernel memory "
                "with a helper is loaded",
                "boot with lockdown=integrity", Hindrance::Of::some};
    // The least that bpf(2) gives, to learn whether it gives anything.
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4, 4, 1, nullptr);
    if (map >= 0) {
        ::close(map);
        if (types_known)
            return {};
        return {"the kernel does not tell its types (no /sys/kernel/btf/vmlinux)",
                "give them with --btf FILE, or mount sysfs, or a kernel with "
                "CONFIG_DEBUG_INFO_BTF=y",
                Hindrance::Of::relocated};
    }
    if (errno == ENOSYS)
        return {"the kernel has no bpf(2)", "a kernel with CONFIG_BPF_SYSCALL=y"};
    if (errno == EPERM)
        return {"bpf(2) is refused",
                "run it outside this container, or let the container's seccomp profile have bpf"};
    return {cat("bpf(2): ", strerrordesc_np(errno)), ""};
}

Diagnosis diagnose(const Tool& tool, const Facts& facts)
{
    Diagnosis d{.tool = &tool};
    if (tool.obstacle && !(d.cause = tool.obstacle(facts)).empty()) {
        d.status = Status::cannot_run;
        d.remedy = in_turn(remedies_of(d.cause));
    }
    tool.inspect(tool, [&](const void* progs) {
        const auto cannot_run = [&d](const Plan& plan) {
            d.status = Status::cannot_run;
            d.cause = cat("no ", plan.unmet->what, ": ", plan.why_unmet());
            d.remedy = remedy_of(plan);
            d.probes.clear();
            d.unseen.clear();
        };
        std::optional<Plan> lacking; // of those that are chosen from
        bool some = false;
        for (const Need& need : tool.needs) {
            const Plan plan =
                resolve({&need, 1}, progs, facts, {}, [](std::string_view) { return false; }, {});
            if (plan.unmet && !need.chosen)
                return cannot_run(plan);
            some |= !plan.unmet && need.chosen;
            for (const Step& step : plan.steps)
                if (step.taken) {
                    add_once(d.probes, step.rung->name);
                    add_once(d.unseen, step.rung->blind);
                    if (step.rung != &need.rungs[0] && step.rung->blind != need.rungs[0].blind)
                        d.status = Status::runs_with_less;
                }
            if (plan.steps.empty() || plan.steps.back().taken)
                continue;
            add_once(d.unseen, need.chosen ? need.what : need.without);
            d.status = Status::runs_with_less;
            if (need.chosen && !lacking)
                lacking = plan;
        }
        if (lacking && !some)
            cannot_run(*lacking);
    });
    return d;
}

std::vector<std::string> sections_of(std::span<const Tool* const> tools)
{
    std::vector<std::string> sections;
    for (const Tool* tool : tools)
        tool->inspect(*tool, [&](const void* progs) {
            for (const Need& need : tool->needs)
                for (const Rung& rung : need.rungs) {
                    for (const Probe& p : rung.probes)
                        if (p.program)
                            sections.emplace_back(bpf_program__section_name(p.program(progs)));
                    if (!rung.function.empty())
                        sections.push_back(cat("fentry/", rung.function));
                }
        });
    return sections;
}

int run_doctor(int argc, char** argv)
{
    return guarded(kDoctor.about.name, [&] {
        Options options{};
        Session session(kDoctor);
        parse_command_line(session, &options, argc, argv);
        std::signal(SIGPIPE, SIG_IGN);
        const auto tools = asked(options);
        Output output(session.output_options(), kColumns);
        libbpf_set_print(nullptr);
        // Types from elsewhere are for relocations; what attaches by the kernel's own is out.
        const std::shared_ptr<KernelBtf> types = types_from_elsewhere(session.btf);
        const bool elsewhere = types != nullptr;
        Facts facts = facts_about(sections_of(tools), types);
        const Hindrance against = hindrance(facts.btf || elsewhere);
        facts.btf = facts.btf && !elsewhere;
        bool all_run = true;
        output.header();
        for (const Tool* t : tools) {
            Diagnosis d = diagnose(*t, facts);
            const bool unsure = against.of == Hindrance::Of::some;
            if (!against.cause.empty() && !t->needs.empty() &&
                (!unsure || d.status != Status::cannot_run) &&
                (against.of != Hindrance::Of::relocated || looks_at_types(t->object())))
                d = {.tool = t,
                     .status = unsure ? Status::may_run : Status::cannot_run,
                     .cause = against.cause,
                     .remedy = against.remedy};
            all_run &= d.status != Status::cannot_run;
            const Row row(d);
            output.row(&row);
            output.end_record();
        }
        output.flush();
        if (output.state() == Output::State::failed)
            throw Failure{Exit::output,
                          cat("write to standard output: ", strerrordesc_np(output.error()))};
        return all_run || options.tools.empty() ? Exit::complete : Exit::cannot_run;
    });
}

const Tool& doctor() { return kDoctor; }

} // namespace corebox
