// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which functions a user's pattern means, by name.
#pragma once
#include <cstdint>
#include <memory>
#include <regex.h>
#include <string>
#include <string_view>

namespace corebox
{

// BCC's patterns of function names: a shell's wildcards for the whole name, or an (extended)
// regular expression for its beginning. What the compiler adds to a name (".isra.0") may be left
// out.
class FunctionPattern
{
public:
    enum class Syntax : std::uint8_t { glob, regex };
    // Fails with a usage error where it is malformed.
    FunctionPattern(std::string_view text, Syntax syntax);

    bool matches(std::string_view name) const;
    // Whether it is one name, as it stands.
    bool exact() const { return !regex_ && start_.size() == text_.size(); }
    // False for most names that do not match, cheaply.
    bool may_match(std::string_view name) const { return name.starts_with(start_); }
    // The same for the source name of an Itanium symbol.
    bool may_match_encoded(std::string_view symbol) const
    {
        return symbol.find(word_) != symbol.npos;
    }
    // What all names that match begin with.
    std::string_view start() const { return start_; }

private:
    bool fits(const std::string& name) const;

    std::string text_;
    std::string start_;      // that every name which fits has
    std::string word_;       // that every Itanium symbol has whose source name fits
    bool is_prefix_ = false; // "vfs_*": no more is asked
    struct Free {
        void operator()(regex_t* r) const
        {
            ::regfree(r);
            delete r;
        }
    };
    std::unique_ptr<regex_t, Free> regex_;
};

} // namespace corebox
