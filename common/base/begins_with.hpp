// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Options are stored through a pointer to the whole struct, by code that knows only the base class
// that the member is of: such a base has to lie at the beginning.
#pragma once
#include <type_traits>

namespace corebox
{
namespace detail
{

template <class T>
union Unborn {
    char none;
    T value;
    constexpr Unborn() : none() {}
    constexpr ~Unborn() {}
};

// Declared only: an address to compare with.
template <class T>
struct Somewhere {
    static Unborn<T> place;
};

// By references: of a pointer UBSan asks whether it is null, which is no constant then.
template <class Whole, class Base>
consteval bool begins_with()
{
    auto& whole = Somewhere<Whole>::place.value;
    return static_cast<const void*>(&static_cast<const Base&>(whole)) ==
           static_cast<const void*>(&whole);
}

} // namespace detail

// Base is Whole itself or a base of it at offset 0.
template <class Whole, class Base>
concept BeginsWith = std::is_base_of_v<Base, Whole> && detail::begins_with<Whole, Base>();

} // namespace corebox
