# Hashes, strings, regular expressions, floating point.
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
