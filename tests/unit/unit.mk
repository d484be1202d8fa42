# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The unit tests: every tests/unit/*_test.cpp in one program, linked with the kit and with all tools
# (their declarations and plans are tested too). It loads nothing into the kernel and needs no root.

# Programs that tests trace or read, in the tests' own programs.
$(BUILD)/tests/programs/%: tests/programs/%.cpp
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++20 -O1 -g -static -nostdlib -no-pie -fno-pie -fno-asynchronous-unwind-tables \
	    -fno-stack-protector -fdebug-prefix-map=$(CURDIR)=. $< -o $@
$(BUILD)/tests/obj/programs/%.o: $(BUILD)/tests/programs/%
	@mkdir -p $(@D)
	$(Q)printf '.section .rodata\n.global %s_program, %s_program_end\n%s_program: .incbin "%s"\n%s_program_end:\n.section .note.GNU-stack\n' \
	    $* $* $* $< $* | $(CXX) -c -x assembler - -o $@
.PRECIOUS: $(BUILD)/tests/programs/%
test_programs := $(patsubst tests/programs/%.cpp,$(BUILD)/tests/obj/programs/%.o,$(wildcard tests/programs/*.cpp))

unit_srcs := $(wildcard tests/unit/*.cpp)
unit_objs := $(unit_srcs:%.cpp=$(BUILD)/%.o)
.PHONY: test-unit
test-unit: $(BUILD)/tests/unit_tests
	$(Q)$< --gtest_brief=1

# -O0: nothing here is hot, and it compiles in two thirds of the time of -O1.
compile_unit_test = $(CXX) $(CPPFLAGS) -Itests/unit -DSOURCE_DIR='"$(CURDIR)"' \
    $(filter-out -Wcast-qual -Wshadow,$(CXXFLAGS)) -Wno-missing-field-initializers -O0 -MMD -MP

# GoogleTest and what is from outside of this tree, parsed once (see the Makefile).
$(pch)/unit.hpp.gch: common/outside.hpp | $(libraries)
	$(say) CXX $@
	@mkdir -p $(@D)
	@printf '#include %s\n' '"$(<F)"' '<gmock/gmock.h>' '<gtest/gtest.h>' '<nlohmann/json.hpp>' > $(@:.gch=)
	$(Q)$(compile_unit_test) -MF $(@:.gch=.d) -MT $@ -x c++-header -c $(@:.gch=) -o $@

$(unit_objs): $(BUILD)/%.o: %.cpp $(pch)/unit.hpp.gch
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(compile_unit_test) $(precompiled) -MF $(@:.o=.d) -c $< -o $@

# Static as the tools are; glibc's linker warnings are about what gtest calls.
# They run corebox too.
$(BUILD)/tests/unit_tests: | $(BUILD)/corebox
$(BUILD)/tests/unit_tests: $(unit_objs) $(test_programs) $(tool_objs) $(BUILD)/libkit.a
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CXX) $(LDFLAGS) -Wl,--no-warnings $^ -lgtest_main -lgmock -lgtest $(LDLIBS) -o $@

-include $(unit_objs:.o=.d) $(pch)/unit.hpp.d

# The same tests with what they test, the kit, built for AddressSanitizer and UBSan. These go only with
# shared libraries, so this program is linked dynamically, and the warnings are the other build's business.
# The tests themselves and the tools, which are declarations, come as they are, last: of inline functions
# that they have too, the checked ones are taken. -O0 compiles in half the time of -O1.
asan       := $(BUILD)/asan
asan_kit   := $(patsubst $(BUILD)/kit/%,$(asan)/%,$(kit_objs))
asan_flags := -std=c++20 -O0 -g1 -w -fno-pie -fno-omit-frame-pointer -ffile-prefix-map=$(CURDIR)=. \
              -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: test-asan
test-asan: $(asan)/unit_tests
	$(Q)$< --gtest_brief=1

$(pch)/asan.hpp.gch: common/outside.hpp | $(libraries)
	$(say) ASAN $@
	@mkdir -p $(@D)
	@echo '#include "$(<F)"' > $(@:.gch=)
	$(Q)$(CXX) $(CPPFLAGS) $(asan_flags) -MMD -MF $(@:.gch=.d) -MT $@ -x c++-header -c $(@:.gch=) -o $@

$(asan_kit): $(asan)/%.o: %.cpp $(pch)/asan.hpp.gch
	$(say) ASAN $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(precompiled) $(CPPFLAGS) $(asan_flags) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(asan)/unit_tests: | $(BUILD)/corebox
$(asan)/unit_tests: $(asan_kit) $(unit_objs) $(test_programs) $(tool_objs)
	$(say) LINK $@
	$(Q)$(CXX) -no-pie -fsanitize=address,undefined $^ -lgtest_main -lgmock -lgtest $(LDLIBS) -o $@

-include $(asan_kit:.o=.d) $(pch)/asan.hpp.d
