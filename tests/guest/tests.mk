# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest tests: one static program of all tests/guest/*.cpp.
# EXPECT in an if without braces, and volatile counters that must not be optimised away, are fine here.
guest_test_warnings := -Wno-dangling-else -Wno-volatile
# The first that has a template's code gives it to all: harness.o comes first, so that JSON is parsed by code
# that the optimiser has seen.
guest_test_srcs := tests/guest/harness.cpp \
                   $(wildcard $(foreach t,$(ONLY),tests/guest/$t_test.cpp) \
                     $(filter-out %_test.cpp %/harness.cpp,$(wildcard tests/guest/*.cpp)))
guest_test_objs := $(guest_test_srcs:%.cpp=$(BUILD)/tests/obj/%.o) $(BUILD)/tests/obj/usdtargs.o

.PHONY: guest-tests
guest-tests: $(BUILD)/tests/guest_tests $(if $(cross),,$(BUILD)/tests/leaks/leaks $(BUILD)/tests/leaks/resolves)

# -O0: nothing here is hot but the parsing of JSON, which only harness.o compiles. GoogleTest's macros
# shadow. Symbols and frame pointers stay: tools that print stacks are tested on this very program. Line
# numbers, which -Wl,-S would take out again, are not even made.
compile_guest_test = $(CXX) $(CPPFLAGS) -Itests/guest $(filter-out -Wshadow -Wcast-qual -g1,$(CXXFLAGS)) -O0 \
    -fno-omit-frame-pointer $(guest_test_warnings) -MMD -MP

# harness.hpp with GoogleTest and JSON, parsed once: a second less for each of seventy files. The compiler
# takes HEADER.gch where it is told to include HEADER, and the tests' own #include is then the same file
# again (#pragma once). Their .d files do not name it, so they depend on it here.
guest_test_pch := $(BUILD)/tests/obj/precompiled.hpp
$(guest_test_pch).gch: tests/guest/harness.hpp | $(libraries)
	$(say) CXX $<
	@mkdir -p $(@D)
	@echo '#include "$(<F)"' > $(guest_test_pch)
	$(Q)$(compile_guest_test) -MF $(guest_test_pch).d -MT $@ -x c++-header -c $(guest_test_pch) -o $@

$(BUILD)/tests/obj/tests/guest/%_test.o: tests/guest/%_test.cpp $(guest_test_pch).gch
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(compile_guest_test) -Winvalid-pch -include $(guest_test_pch) -MF $(@:.o=.d) -c $< -o $@

$(BUILD)/tests/obj/tests/guest/%.o: tests/guest/%.cpp | $(libraries)
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(compile_guest_test) -MF $(@:.o=.d) -c $< -o $@

$(BUILD)/tests/obj/tests/guest/harness.o: compile_guest_test += -O2

# A tool that only tests use. It is built as the others are, and linked into their program.
vpath usdtargs.bpf.c tests/guest/usdtargs
$(BUILD)/tests/obj/usdtargs.o: tests/guest/usdtargs/usdtargs.cpp $(BUILD)/skel/usdtargs.skel.h | $(libraries)
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) -isystem $(BUILD)/skel -I$(<D) $(CXXFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

# A program that is linked dynamically, and its C library. Not executable: the guest would get them where they
# lie on this machine, and tests rely on having no C library there.
$(BUILD)/tests/leaks/leaks: tests/guest/leaks/main.c tests/guest/leaks/leaks.h
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) -O0 -fno-omit-frame-pointer $< -o $@.tmp
	$(Q)cp "$$($(CC) -print-file-name=libc.so.6)" $(@D)/libc.so.6
	$(Q)cp "$$($(CC) -print-file-name=ld-linux-x86-64.so.2)" $(@D)/ld.so
	$(Q)chmod 644 $@.tmp $(@D)/libc.so.6 $(@D)/ld.so
	$(Q)mv $@.tmp $@

# Another one, which runs with the same C library.
$(BUILD)/tests/leaks/resolves: tests/guest/resolves/main.c $(BUILD)/tests/leaks/leaks
	$(say) CC $<
	$(Q)$(CC) -O0 -fno-omit-frame-pointer $< -o $@.tmp
	$(Q)chmod 644 $@.tmp
	$(Q)mv $@.tmp $@

# Expressions are tested with the kit's own code, and with what the unit tests have of random ones.
guest_test_kit := $(if $(filter %/expr_test.o,$(guest_test_objs)),$(BUILD)/tests/unit/expr_world.o $(BUILD)/tests/unit/expr_random.o $(BUILD)/tests/unit/bpf_machine.o)

$(BUILD)/tests/guest_tests: $(guest_test_objs) $(test_programs) $(guest_test_kit) $(BUILD)/libkit.a
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CXX) $(LDFLAGS) -Wl,-S -Wl,--no-warnings $^ -lgtest $(LDLIBS) -o $@

-include $(guest_test_objs:.o=.d) $(guest_test_pch).d
