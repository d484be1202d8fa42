// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/doctor.hpp"
#include "cli/command_line.hpp"
#include "kernel/types.hpp"
#include "probe/user_probe.hpp"
#include "session/session.hpp"
#include "tool/option.hpp"
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
    constexpr std::string_view kWords[] = {"ok", "partial", "unknown", "unavailable"};
    return kWords[int(status)];
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
        if (d.status == Status::partial)
            for (const std::string& text : d.unseen)
                why += cat(why.empty() ? "not seen: " : "; ", text);
        if (!d.fix.empty())
            why += cat(". Fix: ", d.fix);
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
        "status", "STATUS", 11, "ok, partial, unavailable, or unknown (only the verifier decides)"),
    col<list_of<&Row::probes>>("probes", "PROBES", 16, "Kinds of probes it will use"),
    col<[](const Row& row) { return text_or_absent(row.d.cause); }>(
        "cause", "CAUSE", 0, "Why it is not available", kJsonOnly),
    col<[](const Row& row) { return text_or_absent(row.d.fix); }>(
        "fix", "FIX", 0, "Command or action that makes it available", kJsonOnly),
    col<list_of<&Row::unseen>>("not_seen", "NOT_SEEN", 0, "What it will not see", kJsonOnly),
    col<[](const Row& row) { return std::string_view(row.why); }>(
        "why", "WHY", 0, "Cause and fix, or what it will not see"),
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
    repeated(opt<&Options::tools>(0, "tool", "TOOL",
                                  "Check only these tools (names separated by commas or blanks)")),
};

constexpr Example kExamples[] = {
    {"corebox doctor", "Check every tool"},
    {"corebox doctor opensnoop biosnoop", "Check two; exit status 2 if one is unavailable"},
    {"corebox doctor --json", "The same for scripts"},
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
              .summary = "Show which tools run on this machine, and why the others do not",
              .details =
                  "Prints one line for each tool: its status with default options, the kinds of "
                  "probes it will use, and what it will not see. If a tool is unavailable, doctor "
                  "prints the cause and the fix. It loads no BPF programs, so it cannot report "
                  "what the kernel's verifier refuses when the tool starts.",
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

Hindrance find_hindrance(const Facts& facts, bool types_known)
{
    if (Obstacle missing = missing_privilege())
        return {std::move(missing)};
    if (std::string mode = lockdown_mode(); mode == "confidentiality")
        return {{Cause::lockdown, std::move(mode)}, Hindrance::Of::some};
    // The least that bpf(2) gives, to learn whether it gives anything.
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4, 4, 1, nullptr);
    const int code = errno;
    if (map >= 0) {
        ::close(map);
        if (types_known)
            return {};
        return {{facts.sysfs ? Cause::no_types : Cause::no_sysfs}, Hindrance::Of::relocated};
    }
    if (code == ENOSYS)
        return {{Cause::no_bpf}};
    if (code == EPERM)
        return {{Cause::bpf_denied}};
    return {{Cause::bpf_fails, strerrordesc_np(code) ? strerrordesc_np(code) : errno_name(code)}};
}

Diagnosis diagnose(const Tool& tool, const Facts& facts)
{
    Diagnosis d{.tool = &tool};
    if (tool.obstacle)
        if (const Obstacle o = tool.obstacle(facts)) {
            d.status = Status::unavailable;
            d.cause = o.text();
            d.fix = o.fix();
        }
    tool.inspect(tool, [&](const void* progs) {
        const auto reject = [&d](const Plan& plan) {
            d.status = Status::unavailable;
            d.cause = cat("no ", plan.unmet->what, ": ", plan.why_unmet());
            d.fix = plan.fix_unmet();
            d.probes.clear();
            d.unseen.clear();
        };
        std::optional<Plan> lacking; // of those that are chosen from
        std::vector<std::string> fixes;
        // The first probe of a need that is not met by its best one, and that a fix would bring.
        const auto add_fix = [&fixes](const Plan& plan) {
            for (const Step& step : plan.steps)
                if (const std::string fix = join_fixes(list_fixes(step.obstacles)); !fix.empty())
                    return add_once(fixes, fix);
        };
        bool some = false;
        for (const Need& need : tool.needs) {
            const Plan plan =
                resolve({&need, 1}, progs, facts, {}, [](std::string_view) { return false; }, {});
            if (plan.unmet && !need.chosen)
                return reject(plan);
            some |= !plan.unmet && need.chosen;
            for (const Step& step : plan.steps)
                if (step.taken) {
                    add_once(d.probes, step.rung->name);
                    add_once(d.unseen, step.rung->blind);
                    if (step.rung != &need.rungs[0] && step.rung->blind != need.rungs[0].blind) {
                        d.status = Status::partial;
                        add_fix(plan);
                    }
                }
            if (plan.steps.empty() || plan.steps.back().taken)
                continue;
            add_once(d.unseen, need.chosen ? need.what : need.without);
            d.status = Status::partial;
            add_fix(plan);
            if (need.chosen && !lacking)
                lacking = plan;
        }
        if (lacking && !some)
            return reject(*lacking);
        if (!facts.kernel_names && has(tool.shared, Shared::symbols)) {
            d.status = Status::partial;
            add_once(d.unseen, "names of kernel functions (kernel.kptr_restrict is 2)");
            add_once(fixes, Obstacle{Cause::kptr_restrict}.fix());
        }
        d.fix = join_fixes(fixes);
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
        facts.user_site = find_site_obstacle;
        const Hindrance against = find_hindrance(facts, facts.btf || elsewhere);
        facts.btf = facts.btf && !elsewhere;
        bool all_run = true;
        output.header();
        for (const Tool* t : tools) {
            Diagnosis d = diagnose(*t, facts);
            const bool unsure = against.of == Hindrance::Of::some;
            if (against.obstacle && !t->needs.empty() &&
                (!unsure || d.status != Status::unavailable) &&
                (against.of != Hindrance::Of::relocated || looks_at_types(t->object())))
                d = {.tool = t,
                     .status = unsure ? Status::unknown : Status::unavailable,
                     .cause = against.obstacle.text(),
                     .fix = against.obstacle.fix()};
            all_run &= d.status != Status::unavailable;
            const Row row(d);
            output.row(&row);
            output.end_record();
        }
        output.flush();
        if (output.state() == Output::State::failed)
            throw Failure{Exit::output, cat("cannot write to standard output: ",
                                            strerrordesc_np(output.error()))};
        return all_run || options.tools.empty() ? Exit::complete : Exit::cannot_run;
    });
}

const Tool& doctor() { return kDoctor; }

} // namespace corebox
