# Hashes, strings, regular expressions, sorting, packing, large numbers, floating point, processes.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use List::Util qw(sum0 reduce);
use Math::BigInt;

my ($h, %words) = (5381);
for my $n (1 .. 60000) {
    $h = ($h * 33 + ($n ^ ($h >> 7))) & 0xffffffff;
    $words{sprintf("w%03x", $h & 0xfff)} += $n;
    $h ^= length(join(",", reverse split(//, "$n$h"))) if $n % 3 == 0;
}
my $sum = 0;
$sum = ($sum * 31 + $words{$_}) % 1000000007 for sort keys %words;
my $text = join(" ", map { $_ * $_ } 1 .. 20000);
my $found = () = $text =~ /(\d)\1(?=\d* \d+7)/g;
printf("%d %s %d %.15g\n", $h, $sum, $found, atan2(1, 3) ** 0.37);
(my $other = $text) =~ s/(\d+) (\d+)/length($1) > 5 ? "$2-$1" : "<$1>"/ge;
$other =~ tr/0-9/a-j/;
print sha256_hex($other), "\n";
print sha256_hex(pack("(NnCvVQ>)*", map { $_ * 2654435761 % 251 } 1 .. 6000)), "\n";
print sha256_hex(join ",", sort { length($a) <=> length($b) || $b cmp $a } keys %words), "\n";
print sha256_hex(join ",", map { sprintf "%.17g", $_ / 7 } 1 .. 20000), "\n";
print sha256_hex(join ",", map { sprintf "%x%o%e%s", $_, $_, $_ / 3, $_ / 8 } 1 .. 20000), "\n";
my $big = reduce { $a * $b } Math::BigInt->new(1), 1 .. 400;
print sha256_hex("$big"), " ", Math::BigInt->new(3)->bmodpow("1" . "0" x 30, "1" . "0" x 40 . "151"), "\n";
print sum0(map { $_ % 97 } unpack("w*", pack("w*", 1 .. 30000))), "\n";
# A pipe from a child.
my $pid = open(my $child, "-|") // die "fork: $!";
if ($pid == 0) {
    print "$_ ", $_ ** 2, "\n" for 1 .. 5000;
    exit 3;
}
print sha256_hex(join "", <$child>), "\n";
close $child;
print $? >> 8, "\n";
my $n = eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; 1 while 1; };
print $@;
