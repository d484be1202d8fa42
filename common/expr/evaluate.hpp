// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Computes an expression in this process: for what only user space knows, for replay, and as the
// measure of the generated code.
#pragma once
#include "expr/ir.hpp"
#include "output/value.hpp"
#include <memory>
#include <optional>
#include <vector>

namespace corebox::expr
{

// Regular expressions are compiled when they are first used, and kept here.
class Regexes
{
public:
    Regexes();
    ~Regexes();
    bool matches(const Code& code, std::int64_t number, const std::string& text);

private:
    struct Compiled;
    std::vector<std::unique_ptr<Compiled>> compiled_; // by the number of the text
};

// What an expression is computed over. What needs a function that is null is undecided.
struct World {
    std::span<const std::byte> context{}, record{};
    // Reads memory that a pointer points to; false: it cannot be read.
    std::function<bool(std::uint64_t address, Space space, std::span<std::byte> to)> read{};
    std::function<std::uint64_t(Helper)> helper{};
    std::function<Value(std::int64_t number)> column{};
    Regexes* regexes = nullptr; // null: compiled each time
};

enum class Truth : std::uint8_t { no, yes, undecided };

Truth test(const Code& code, NodeId condition, const World& world);
// Extended to 64 bits by its type; none: missing.
std::optional<std::int64_t> compute(const Code& code, NodeId value, const World& world);
std::optional<std::string> compute_text(const Code& code, NodeId text, const World& world);

} // namespace corebox::expr
