// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What ksnoop traces: functions, and of each what is read when it is called and when it returns.
#pragma once
#include "kernel_side.hpp"
#include "ksnoop/ksnoop.h"
#include "probe/functions.hpp"
#include "snoop_spec.hpp"
#include <array>
#include <deque>
#include <map>

namespace corebox
{

inline constexpr RecordHead kSnoopHead{.size = sizeof(ksnoop_record),
                                       .missing = offsetof(ksnoop_record, missing),
                                       .undecided = offsetof(ksnoop_record, undecided)};
static_assert(sizeof(ksnoop_record) % 8 == 0);

// A value as it is shown: the pointer, what it leads to, or a value that is no pointer. Numbers of
// captured values.
struct ShownValue {
    std::string name;
    std::optional<std::size_t> pointer{}, value{};
};

// The entry or the return of a function: what is read there.
struct Moment {
    Tap tap;
    Forms forms;
    bool is_shown = false, has_condition = false;
};

// One instance of the object.
struct Snooped {
    const SnoopSpec* spec = nullptr;
    const ProbeSpec* probe = nullptr;
    Moment entry, leave;
    std::unique_ptr<FunctionProbes> probes;
    std::array<Target, 1> targets{};
    std::vector<Need> needs;
    std::vector<std::byte> object;
    KernelSide::Maps entry_maps, leave_maps;
};

class SnoopPlan
{
public:
    explicit SnoopPlan(KernelSide& kernel) : kernel_(kernel) {}

    // The functions of an operand; throws expr::TextError.
    void add(std::string_view text, const Session& session);
    // What is read of one of them. Fails with a usage error where it cannot be.
    void prepare(Snooped& snooped);

    std::deque<Snooped>& functions() { return snooped_; }
    const std::vector<ShownValue>& values(const Capture* capture) { return values_[capture]; }
    std::uint32_t record_bytes() const { return most_; } // of the largest

private:
    Forms make_forms(Snooped& snooped, Moment& moment);
    void fill(Capture& capture, const Snooped& snooped, const Moment& moment);
    void add_parameters(Capture& capture, const Snooped& snooped, const Place& place);
    void show(Capture& capture, std::string_view name, const Piece& piece);

    KernelSide& kernel_;
    std::vector<std::unique_ptr<SnoopSpec>> specs_;
    std::vector<std::unique_ptr<ProbeSpec>> probes_;
    std::deque<Snooped> snooped_;
    std::deque<std::string> texts_; // of expressions that the user did not write
    std::map<const Capture*, std::vector<ShownValue>> values_;
    std::uint32_t most_ = sizeof(ksnoop_record);
};

} // namespace corebox
