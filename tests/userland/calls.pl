# 1000 calls of main::leaf and 10 of main::mid, 3 of Job::work that die within 3 of Job::run, which
# goes on; 6 of fact(), which calls itself; 5 of a sub of C. All within begin().
use strict;
use Scalar::Util;

package Job;
sub work { select undef, undef, undef, 0.002; die "no\n" }
sub run  { eval { work() }; select undef, undef, undef, 0.005; return }

package main;
sub leaf { return $_[0] + 1 }
sub mid  { my $s = 0; $s = leaf($s) for 1 .. $_[0]; return $s }
sub fact { my $n = shift; return $n < 2 ? 1 : $n * fact($n - 1) }

sub begin {
    print "ready\n";
    <STDIN>;
    Job::run() for 1 .. 3;
    return fact(6);
}

$| = 1;
begin();
my $t = 0;
$t += mid(100) for 1 .. 10;
Scalar::Util::blessed($t) for 1 .. 5;
print "$t\n";
<STDIN>;
