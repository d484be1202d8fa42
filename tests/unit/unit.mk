# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The unit tests: every tests/unit/*_test.cpp in one program, linked with the kit and with all tools
# (their declarations and plans are tested too). It loads nothing into the kernel and needs no root.

unit_srcs := $(wildcard tests/unit/*.cpp)
unit_objs := $(unit_srcs:%.cpp=$(BUILD)/%.o)
# What the kit's library does not hold yet is linked as objects.
unit_kit  := $(filter-out $(kit_objs) $(main_obj),$(patsubst %.cpp,$(BUILD)/kit/%.o,$(wildcard common/*/*.cpp)))

.PHONY: test-unit
test-unit: $(BUILD)/tests/unit_tests
	$(Q)$< --gtest_brief=1

$(BUILD)/tests/unit/%.o: tests/unit/%.cpp | $(libraries)
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) -Itests/unit -DSOURCE_DIR='"$(CURDIR)"' $(filter-out -Wcast-qual -Wshadow,$(CXXFLAGS)) -Wno-missing-field-initializers -O1 -MMD -MP -MF $(@:.o=.d) -c $< -o $@

# Static as the tools are; glibc's linker warnings are about what gtest calls.
# They run corebox too.
$(BUILD)/tests/unit_tests: | $(BUILD)/corebox
$(BUILD)/tests/unit_tests: $(unit_objs) $(unit_kit) $(tool_objs) $(BUILD)/libkit.a
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CXX) $(LDFLAGS) -Wl,--no-warnings $^ -lgtest_main -lgmock -lgtest $(LDLIBS) -o $@

-include $(unit_objs:.o=.d) $(unit_kit:.o=.d)

# The same tests with what they test built for AddressSanitizer and UBSan. These go only with shared
# libraries, so this program is linked dynamically, and the warnings are the other build's business.
# Tools are declarations: they come as they are, last, so that of inline functions which both have the
# checked ones are taken. -O0 compiles in half the time of -O1.
asan       := $(BUILD)/asan
asan_kit   := $(patsubst $(BUILD)/kit/%,$(asan)/%,$(kit_objs) $(unit_kit))
asan_unit  := $(unit_srcs:%.cpp=$(asan)/%.o)
asan_flags := -std=c++20 -O0 -g1 -w -fno-pie -fno-omit-frame-pointer -ffile-prefix-map=$(CURDIR)=. \
              -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: test-asan
test-asan: $(asan)/unit_tests
	$(Q)$< --gtest_brief=1

$(asan)/%.o: %.cpp | $(libraries)
	$(say) ASAN $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) -Itests/unit -DSOURCE_DIR='"$(CURDIR)"' $(asan_flags) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(asan)/unit_tests: | $(BUILD)/corebox
$(asan)/unit_tests: $(asan_unit) $(asan_kit) $(tool_objs)
	$(say) LINK $@
	$(Q)$(CXX) -no-pie -fsanitize=address,undefined $^ -lgtest_main -lgmock -lgtest $(LDLIBS) -o $@

-include $(asan_unit:.o=.d) $(asan_kit:.o=.d)
