// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An owned object of a type that its holder does not know.
#pragma once
#include <memory>

namespace corebox
{

struct DestroyErased {
    void (*destroy)(void*) = nullptr;
    void operator()(void* p) const { destroy(p); }
};
using Erased = std::unique_ptr<void, DestroyErased>;

template <class T>
Erased adopt(std::unique_ptr<T> object)
{
    return {object.release(), DestroyErased{[](void* p) { delete static_cast<T*>(p); }}};
}

} // namespace corebox
