# After a line: 5 collections, 20 objects of class Foo, 1 exception.
class Foo
end
GC.disable
$stdout.puts "ready"
$stdout.flush
$stdin.gets
5.times { GC.start }
20.times { Foo.new }
begin
  raise "boom"
rescue StandardError
end
exit!(0)
