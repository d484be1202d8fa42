// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/pattern.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <fnmatch.h>

namespace corebox
{

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
