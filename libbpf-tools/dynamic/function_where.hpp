// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --where of the tools that trace functions: a condition on their arguments, by the types of BTF or
// as registers, and of tools that see returns on what functions return and how long they take. The
// kernel decides all of it.
#pragma once
#include "function_where.h"
#include "kernel_side.hpp"
#include "output/column.hpp"
#include "output/field.hpp"
#include "probe/functions.hpp"
#include "probe/points.hpp"

namespace corebox
{

class FunctionWhere
{
public:
    // Fails with a usage error where `text` is no condition on these points. `returns`: the tool
    // sees them too. `may_be_typed`: it has programs for fentry and fexit.
    FunctionWhere(std::string_view text, const Session& session, std::span<const Point> points,
                  bool returns, bool may_be_typed);
    FunctionWhere(const FunctionWhere&) = delete;
    FunctionWhere& operator=(const FunctionWhere&) = delete;

    // In which kinds of programs it can be evaluated.
    bool has(body_form form) const { return has_[form]; }
    const function_where& config() const { return config_; }
    // The tool's object with the condition in it; lives as long as this.
    std::span<const std::byte> make_object(const void* (*elf_bytes)(std::size_t*));

private:
    KernelSide kernel_;
    const std::string text_;
    std::vector<Piece> parts_[2]; // that are decided at the entry, and at the return
    Tap entry_, leave_;
    Forms entry_forms_, leave_forms_;
    KernelSide::Maps entry_maps_, leave_maps_;
    function_where config_{};
    bool has_[2] = {};
    std::vector<std::byte> object_;
};

// The condition of a tool that counts calls of points (bpf/functions.bpf.h), in its Options.
struct PointCondition {
    // Before the points are known.
    void take(Session& session) { text = std::exchange(session.condition, {}); }
    // With these; the need of them is then without the probes that cannot evaluate it. `fentry`:
    // the tool has a program for the only function, beside copies.
    std::span<const Need> apply(Session& session, const FunctionProbes& probes,
                                std::span<const Need> needs, bool fentry,
                                const void* (*elf_bytes)(std::size_t*));
    function_where config() const { return where ? where->config() : function_where{}; }

    std::string_view text{};
    std::optional<FunctionWhere> where{};
    std::vector<Need> needs{};
};

// What help and completion say that a condition may name; the parameters of a function come to
// that.
struct FunctionFields {
    std::int64_t arg1, arg2, arg3, arg4, arg5, arg6, retval;
    std::uint64_t lat_ns;
    std::uint32_t pid, tid, uid, cpu;
    char comm[COMM_LEN];
};
inline constexpr Column kReturnFields[] = {
    event_field<field<&FunctionFields::retval>>("retval", "Return value"),
    event_field<field<&FunctionFields::lat_ns>>("lat_ns", "Duration in nanoseconds"),
    event_field<field<&FunctionFields::lat_ns> / 1000>("lat_us", "Duration in microseconds"),
    event_field<field<&FunctionFields::lat_ns> / 1'000'000>("lat_ms", "Duration in milliseconds"),
    event_field<field<&FunctionFields::arg1>>("arg1", "First argument; also by its name"),
    event_field<field<&FunctionFields::arg2>>("arg2", "Second argument"),
    event_field<field<&FunctionFields::arg3>>("arg3", "Third argument"),
    event_field<field<&FunctionFields::arg4>>("arg4", "Fourth argument"),
    event_field<field<&FunctionFields::arg5>>("arg5", "Fifth argument"),
    event_field<field<&FunctionFields::arg6>>("arg6", "Sixth argument"),
    event_field<field<&FunctionFields::pid>>("pid", "Process ID"),
    event_field<field<&FunctionFields::tid>>("tid", "Thread ID"),
    event_field<field<&FunctionFields::uid>>("uid", "User ID"),
    event_field<field<&FunctionFields::cpu>>("cpu", "CPU"),
    event_field<field<&FunctionFields::comm>>("comm", "Command name of the thread"),
};
inline constexpr std::span<const Column> kCallFields = std::span(kReturnFields).subspan(4);

} // namespace corebox
