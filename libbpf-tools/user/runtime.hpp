// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The runtimes of languages: the files that contain them, which event each shows by which probe,
// and why a version of it shows one not at all or only if it was started so. A tool has
//
//     struct Options { ...; std::vector<const Runtime*> runtimes; };
//     .rungs = runtime_rungs<&P::entry, RuntimeEvent::call, Options>()
//
// and its prepare() fills `runtimes` with choose_runtime(), which ends with status 2 and says why,
// before anything is traced, where the processes cannot show the event.
#pragma once
#include "probe/user_probe.hpp"
#include "runtime.h"

namespace corebox
{

enum class RuntimeEvent : std::uint8_t {
    call,
    call_end,
    exactness, // no event: a program here makes other probes fire (an empty one)
    gc,
    gc_end,
    gc_pool, // of java: the collection of one pool, within a pause
    gc_pool_end,
    gc_sweep, // of ruby
    gc_sweep_end,
    object,       // an allocation with its class
    plain_object, // one of a built-in type: string, array, hash
    thread_start,
    thread_stop,
    exception,
    class_load, // or of a file, a module
};

struct RuntimeProbe {
    RuntimeEvent event;
    const UserSite* site; // lives as long as the program
    runtime_arguments arguments{};
    bool at_return = false; // of the function: for programs of section "uretprobe"
    // What it counts where the tool prints that: "sub", "string".
    std::string_view kind{};
};

// Why there is no probe where a file has none: `reason` completes "FILE ...", `hint` is what would.
struct RuntimeLack {
    RuntimeEvent event;
    std::string_view reason, hint;
};

struct Runtime {
    std::string_view name; // as -l takes it
    std::array<std::string_view, 10> files;
    std::span<const RuntimeProbe> probes;
    std::span<const RuntimeLack> lacks;
    // Why this process cannot show it though its files can: how it was started. Empty: it can.
    std::string (*withheld)(RuntimeEvent event, std::uint32_t pid) = nullptr;
    // What is to be said before it is traced.
    std::string_view (*note)(RuntimeEvent event) = nullptr;
};

std::span<const Runtime> all_runtimes();
const Runtime* find_runtime(std::string_view name); // null: none of that name

// Those of which a process maps a file; the one that is the program itself alone, if one is.
std::vector<const Runtime*> detect_runtimes(std::uint32_t pid);

// -l of a tool, a choice() among `words`: "java|perl|none".
struct RuntimeChoice {
    std::uint32_t number = ~0u;

    constexpr RuntimeChoice() = default;
    constexpr explicit RuntimeChoice(std::uint32_t n) : number(n) {}
    // Empty: none was given.
    std::string_view name(std::string_view words) const
    {
        const auto all = split(words, '|');
        return number < all.size() ? all[number] : "";
    }
};

// Where the probes of an event say what they are about.
runtime_arguments name_arguments(const Runtime& runtime, RuntimeEvent event);

// As a record has them; "..." at the end of what was cut. `name_of`: "CLASS.METHOD"; of what the
// kernel side could not read "[unknown]".
std::string class_of(const runtime_name& name);
std::string method_of(const runtime_name& name);
std::string name_of(const runtime_name& name);

// The probes of an event.
std::vector<const RuntimeProbe*> probes_of(const Runtime& runtime, RuntimeEvent event);

// Why none of `objects` has a probe of the event: "REASON; HINT". Empty: one has.
std::string why_lacking(const Runtime& runtime, RuntimeEvent event,
                        std::span<const Object> objects);

// Whether this process shows it.
bool can_show(const Runtime& runtime, RuntimeEvent event, std::uint32_t pid);

// The runtime of that name, or if it is empty, of the traced processes. Fails where there is none,
// or where they, or if none is named all files of it in use, cannot show one of these events.
const Runtime& choose_runtime(const Session& session, std::string_view name,
                              std::span<const RuntimeEvent> events);

// All that these runtimes have of an event. It is no failure if they have nothing.
std::vector<bpf_link*> attach_runtimes(const Session& session, const bpf_program* program,
                                       std::span<const Runtime* const> runtimes, RuntimeEvent event,
                                       UserWay way);

// For doctor: why no runtime's event can be shown, nor waited for.
Obstacle find_runtime_obstacle(const Facts& facts, RuntimeEvent event);

namespace detail
{

template <auto Program, RuntimeEvent Event, class Options, UserWay Way>
consteval Rung runtime_rung(std::string_view name, std::string_view blind)
{
    return rung<Program>(
        name, blind,
        [](const Session& session, const bpf_program* program) {
            return attach_runtimes(session, program, session.options_as<Options>().runtimes, Event,
                                   Way);
        },
        [](const Facts& facts) { return find_runtime_obstacle(facts, Event); });
}

} // namespace detail

template <auto Program, RuntimeEvent Event, class Options>
consteval std::array<Rung, 5> runtime_rungs(std::string_view blind = {})
{
    return {with_function(detail::runtime_rung<Program, Event, Options, UserWay::multi>(
                              "uprobe.multi", blind),
                          kUprobeMultiFunction),
            detail::runtime_rung<Program, Event, Options, UserWay::perf_events>("uprobe", blind)};
}

} // namespace corebox
