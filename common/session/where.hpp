// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --where: a condition on the columns of a tool. As much of it as can be is decided in the kernel,
// before a record is sent (bpf/where.bpf.h); what only user space knows is decided here, of the
// row.
#pragma once
#include "base/fd.hpp"
#include "expr/evaluate.hpp"
#include "expr/generate.hpp"
#include "expr/parse.hpp"
#include "output/clock.hpp"
#include "output/column.hpp"
#include <string>
#include <vector>

namespace corebox
{

class Where
{
public:
    // Fails with a usage error where the text is no condition on these columns.
    Where(std::string_view text, std::span<const Column> columns);
    Where(const Where&) = delete;
    Where& operator=(const Where&) = delete;

    std::span<const Column* const> used() const { return used_; }
    expr::Side side() const { return side_; }
    // Which part is decided where, a line each.
    std::string explain() const;

    // The kernel does not take the body: from now on every row is tested. Fails for a tool that
    // counts events in the kernel.
    void decide_in_user_space(std::string_view reason);

    // The BPF object with the condition as body of cb_where(). Not where side() is user.
    std::vector<std::byte> give_body(std::span<const std::byte> object);

    // What the kernel decides of a record: give_body() does the same.
    expr::Truth decide(std::span<const std::byte> record) const;
    // Whether a row is to be shown of which the kernel has sent the record.
    bool holds(const void* row);

    bool is_counted = false; // the kernel counts the events, so it has to decide

private:
    expr::NodeId find(std::string_view name);
    std::optional<expr::AddressParts> address(expr::NodeId text);
    expr::Measure measure(expr::NodeId value) const;
    expr::NodeId parse(std::string_view text);
    Value value_of(std::size_t column);

    const std::string text_;
    const std::span<const Column> columns_;
    expr::Types types_;
    expr::Code code_{types_};
    std::vector<const Column*> used_;
    expr::NodeId condition_{}, in_kernel_{};
    expr::Side side_{};
    bool is_refused_ = false;
    expr::Regexes regexes_;
    expr::World world_;
    Clock clock_{true};
    const void* row_ = nullptr; // that is looked at
    std::string joined_;        // memory of a list
    Fd tables_, scratch_;       // maps of the body
};

// The parts of a condition that all have to hold; one, where it is not of that form.
std::vector<std::string_view> conjuncts(std::string_view text);

// An address is also three numbers: column number + part * kAddressPart. Parts 1 and 2 are its
// words, 3 says whether it is one of IPv6.
inline constexpr std::int64_t kAddressPart = 1 << 16;
Value address_part(const Value& value, std::int64_t part);

// The test as the kernel decides it: columns that are in the record are read from there. The others
// stay, and so do those tests that need them.
expr::NodeId test_of_record(expr::Code& code, expr::NodeId test, std::span<const Column> columns);
// What of the record a column is; none: nothing.
expr::NodeId column_of_record(expr::Code& code, const Column& column);
expr::TypeId column_type(expr::Types& types, ColumnType type);
// As expressions compute with it.
Value plain_value(const Value& value, const Clock& clock, std::string& joined);

} // namespace corebox
