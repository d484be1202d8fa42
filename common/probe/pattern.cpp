// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/pattern.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "symbols/demangle.hpp"
#include <algorithm>
#include <fnmatch.h>

namespace corebox
{
namespace
{

// The longest word of a glob that symbols have as it stands.
std::string_view telling_word(std::string_view glob)
{
    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    std::string_view longest;
    if (glob.find_first_of("[\\") != glob.npos) // what stands in brackets is no text
        return longest;
    for (std::size_t at = 0; (at = glob.find_first_of(kLetters, at)) != glob.npos;) {
        const auto end = std::min(glob.find_first_not_of(kLetters, at), glob.size());
        const std::string_view word = glob.substr(at, end - at);
        if (word.size() > longest.size() && stands_in_symbols(word))
            longest = word;
        at = end;
    }
    return longest;
}

} // namespace

FunctionPattern::FunctionPattern(std::string_view text, Syntax syntax) : text_(text)
{
    if (syntax == Syntax::regex) {
        start_ = text_.substr(0, text_.find_first_of("^$.*+?()[]{}|\\"));
        // What may be absent is no part of it; nor is a start of one of several.
        if (start_.size() < text_.size() &&
            std::string_view("*?{").find(text_[start_.size()]) != std::string_view::npos &&
            !start_.empty())
            start_.pop_back();
        if (text_.find('|') != text_.npos)
            start_.clear();
        text_ = cat("^(", text_, ")");
        regex_.reset(new regex_t);
        if (const int code = ::regcomp(regex_.get(), text_.c_str(), REG_EXTENDED | REG_NOSUB)) {
            char why[128];
            ::regerror(code, regex_.get(), why, sizeof why);
            delete regex_.release();
            fail_usage(cat("'", text, "' is not a regular expression: ", why));
        }
    } else {
        start_ = text_.substr(0, text_.find_first_of("*?[\\"));
        is_prefix_ = text_.size() == start_.size() + 1 && text_.back() == '*';
        word_ = telling_word(text_);
    }
    if (text.empty())
        fail_usage("an empty pattern matches no function");
}

bool FunctionPattern::fits(const std::string& name) const
{
    if (is_prefix_) // of tens of thousands of names, most patterns are this
        return true;
    return regex_ ? ::regexec(regex_.get(), name.c_str(), 0, nullptr, 0) == 0
                  : ::fnmatch(text_.c_str(), name.c_str(), 0) == 0;
}

bool FunctionPattern::matches(std::string_view name) const
{
    if (!may_match(name))
        return false;
    const std::string_view bare = name.substr(0, name.find('.'));
    return fits(std::string(name)) || (bare.size() < name.size() && fits(std::string(bare)));
}

} // namespace corebox
