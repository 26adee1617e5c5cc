/* --net, -netdev, -nic and -device virtio-net-device: QEMU's spellings and ours. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/cli_rig.h"

static const struct net_device_config *card(unsigned i)
{
    assert_true(i < cli_o.machine.n_virtio);
    assert_int_equal(cli_o.machine.virtio[i].kind, VIRTIO_KIND_NET);
    return &cli_o.machine.virtio[i].card;
}

static void assert_forward(unsigned i, bool udp, const char *host_ip, uint16_t host_port,
                           const char *guest_ip, uint16_t guest_port)
{
    const struct net_forward *f = &card(0)->net.forward[i];

    assert_true(i < card(0)->net.n_forwards);
    assert_int_equal(f->udp, udp);
    assert_int_equal(f->host_ip, inet_addr(host_ip));
    assert_int_equal(f->host_port, host_port);
    assert_int_equal(f->guest_ip, inet_addr(guest_ip));
    assert_int_equal(f->guest_port, guest_port);
}

static void assert_mac(unsigned i, uint64_t mac)
{
    uint64_t got = 0;

    for (unsigned k = 0; k < 6; k++)
        got = got << 8 | card(i)->mac[k];
    assert_int_equal(got, mac);
}

static void the_kinds(void **state)
{
    (void)state;
    good("--net user x");
    assert_int_equal(card(0)->net.kind, NET_USER);
    assert_false(card(0)->net.restricted || card(0)->net.no_ipv6);
    assert_int_equal(card(0)->net.mtu, 0);
    good("--net tap=tap0 x");
    assert_int_equal(card(0)->net.kind, NET_TAP);
    assert_string_equal(card(0)->net.name, "tap0");
    good("--net passt=/run/a,,b x");
    assert_int_equal(card(0)->net.kind, NET_PASST);
    assert_string_equal(card(0)->net.name, "/run/a,b");
    good("--net none x");
    assert_int_equal(cli_o.machine.n_virtio, 0);
    good("-nic none x");
    assert_int_equal(cli_o.machine.n_virtio, 0);
}

static void settings(void **state)
{
    (void)state;
    good("--net user,restrict=on,ipv6=off,hostname=guest,mtu=9000,mac=02:00:00:aa:BB:cc x");
    assert_true(card(0)->net.restricted && card(0)->net.no_ipv6);
    assert_string_equal(card(0)->net.hostname, "guest");
    assert_int_equal(card(0)->net.mtu, 9000);
    assert_mac(0, 0x020000aabbcc);
    good("--net user,restrict=yes,mac=02-00-00-aa-bb-cc x");
    assert_true(card(0)->net.restricted);
    assert_mac(0, 0x020000aabbcc);
    good("--net user,restrict=no,ipv6=on,ipv4=on x");
    assert_false(card(0)->net.restricted || card(0)->net.no_ipv6);
}

static void forwards(void **state)
{
    (void)state;
    good("--net user,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-10.0.2.16:5353,"
         "hostfwd=:0.0.0.0:8080-:80,hostfwd=::1-:65535 x");
    assert_int_equal(card(0)->net.n_forwards, 4);
    assert_forward(0, false, "127.0.0.1", 2222, "0.0.0.0", 22);
    assert_forward(1, true, "0.0.0.0", 53, "10.0.2.16", 5353);
    assert_forward(2, false, "0.0.0.0", 8080, "0.0.0.0", 80);
    assert_forward(3, false, "0.0.0.0", 1, "0.0.0.0", 65535);
}

static void addresses_of_cards(void **state)
{
    (void)state;
    good("--net user --net tap=a --net tap=b,mac=02:00:00:00:00:01 --net tap=c x");
    assert_mac(0, 0x525400123456);
    assert_mac(1, 0x525400123457);
    assert_mac(2, 0x020000000001);
    assert_mac(3, 0x525400123459);
}

static void as_qemu_has_them(void **state)
{
    (void)state;
    good("-device virtio-net-device,netdev=n,mac=02:00:00:00:00:01,id=x --drive d "
         "-netdev user,id=n,hostfwd=tcp::2222-:22 -nic tap,ifname=t,script=no,downscript=no x");
    assert_int_equal(cli_o.machine.n_virtio, 3);
    assert_int_equal(card(0)->net.n_forwards, 1);
    assert_mac(0, 0x020000000001);
    assert_int_equal(cli_o.machine.virtio[1].kind, VIRTIO_KIND_BLK);
    assert_string_equal(card(2)->net.name, "t");
    good("-netdev stream,id=n,server=off,addr.type=unix,addr.path=/run/p "
         "-device virtio-net-device,netdev=n,host_mtu=9000 x");
    assert_int_equal(card(0)->net.kind, NET_PASST);
    assert_string_equal(card(0)->net.name, "/run/p");
    assert_int_equal(card(0)->net.mtu, 9000);
    good("-netdev user,id=n,mac=02:00:00:00:00:02 -device virtio-net-device,netdev=n x");
    assert_mac(0, 0x020000000002);
    good("-netdev user,id=n -device virtio-net-pci,netdev=n,romfile= x");
    assert_true(cli_o.machine.virtio[0].on_pci);
    good("-nic user,model=virtio-net-pci x");
    assert_true(cli_o.machine.virtio[0].on_pci);
    good("-nic user,model=virtio-net-device,macaddr=02:00:00:00:00:03 x");
    assert_false(cli_o.machine.virtio[0].on_pci);
    assert_mac(0, 0x020000000003);
}

static void what_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"--net vde x", "vde is not known; user, tap=IF, passt=SOCKET or none"},
        {"-net nic,model=virtio x", "the card comes with its network: write --net user"},
        {"--net bridge,br=br0 x", "bridge is not known"},
        {"--net x", "x is not known; user"},
        {"--net  x", "is not known; user"},
        {"--net user=1 x", "takes no value"},
        {"--net tap x", "which interface? tap=IF"},
        {"--net tap= x", "tap= needs a value"},
        {"--net passt x", "which socket? passt=SOCKET"},
        {"--net user,sparkle x", "sparkle is not known; hostfwd="},
        {"--net tap=a,hostfwd=tcp::1-:1 x", "hostfwd is not known"},
        {"--net tap=a,vhost=on x", "vhost=on: leave it out"},
        {"--net tap=a,script=/etc/up x", "set the interface up beforehand"},
        {"--net user,net=10.0.0.0/8 x", "addresses are QEMU's: the guest 10.0.2.15"},
        {"--net user,guestfwd=tcp:10.0.2.9:1-cmd:x x", "the host's servers at 10.0.2.2"},
        {"--net user,smb=/ x", "it is not there"},
        {"--net user,ipv4=off x", "ipv4=off: leave it out"},
        {"--net user,model=e1000 x", "the card is virtio-net-device"},
        {"--net user,restrict=maybe x", "restrict=maybe: on or off"},
        {"--net user,hostname= x", "hostname= needs a value"},
        {"--net user,mtu=100 x", "mtu=100: from 1280 to 65520"},
        {"--net user,mtu=65521 x", "from 1280 to 65520"},
        {"--net user,mtu x", "mtu=: from"},
        {"--net user,mac=52:54:00:12:34 x", "no such address; as in 52:54"},
        {"--net user,mac=52:54:00:12:34:5g x", "no such address"},
        {"--net user,mac=+2:54:00:12:34:56 x", "no such address"},
        {"--net user,mac=525400123456 x", "no such address"},
        {"--net user,mac=52:54:00:12:34:56:78 x", "no such address"},
        {"--net user,mac x", "no such address"},
        {"--net user,mac=53:54:00:12:34:56 x", "no address of one card"},
        {"--net user,mac=00:00:00:00:00:00 x", "no address of one card"},
        {"--net user,hostfwd x", "write tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT"},
        {"--net user,hostfwd=2222:22 x", "write tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT"},
        {"--net user,hostfwd=tcp::2222:22 x", "write tcp|udp"},
        {"--net user,hostfwd=tcp::2222-22 x", "write tcp|udp"},
        {"--net user,hostfwd=icmp::1-:1 x", "'icmp' is neither tcp nor udp"},
        {"--net user,hostfwd=tcp:localhost:1-:1 x", "'localhost' is no IPv4 address"},
        {"--net user,hostfwd=tcp::1-guest:1 x", "'guest' is no IPv4 address"},
        {"--net user,hostfwd=tcp::0-:1 x", "'0' is no port"},
        {"--net user,hostfwd=tcp::65536-:1 x", "'65536' is no port"},
        {"--net user,hostfwd=tcp::1-:http x", "'http' is no port"},
        {"--net user,hostfwd=tcp::1-:1-2 x", "'1-2' is no port"},
        {"--net user,hostfwd=tcp::1-: x", "'' is no port"},
        {"--net user --net user x", "there can be one"},
        {"-netdev user x", "it needs an id="},
        {"-netdev user,id=n x", "is given to no device; add -device virtio-net-device,netdev=n"},
        {"-netdev user,id=n -netdev tap=a,id=n x", "id=n is taken"},
        {"-netdev none,id=n x", "none is not known"},
        {"-device virtio-net-device x", "needs netdev=ID"},
        {"-device virtio-net-device,netdev=n x", "there is no -netdev with id=n"},
        {"-device virtio-net-device,netdev=n,mq=on x", "mq is not known; netdev=ID"},
        {"-device virtio-net-device,netdev=n,mac=1 x", "no such address"},
        {"-netdev tap=a,id=n -device virtio-net-device,netdev=n -device virtio-net-device,netdev=n "
         "x",
         "is given to two devices"},
        {"-drive file=f,id=n -device virtio-net-device,netdev=n x", "no -netdev with id=n"},
        {"-netdev user,id=n -device virtio-blk-device,drive=n x", "no -drive with id=n"},
        {"-device virtio-net-pci,netdev=n x", "virtio-net-pci,netdev=n: there is no -netdev"},
        {"-device virtio-net-pci x", "virtio-net-pci needs netdev=ID"},
        {"-device virtio-net-pci,vectors=4,netdev=n x", "the PLIC takes no MSI"},
        {"-device e1000,netdev=n x", "virtio-net-pci,netdev=ID"},
        {"-netdev stream,id=n,addr.type=inet x", "addr.type=unix,addr.path=SOCKET"},
        {"-netdev stream,id=n,server=on x", "passt listens"},
        {"--tap t x", "write --net user, --net tap=IF"},
        {"--net user --time virtual x", "cannot be had with --time virtual"},
        {"--net tap=a --engine check x", "cannot be had with"},
        {"--net passt=a --max-insns 5 x", "cannot be had with"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        bad(rows[i][0], rows[i][1]);
}

static void as_many_as_there_is_room_for(void **state)
{
    char line[2048] = "--net user";

    (void)state;
    for (unsigned i = 0; i < NET_MAX_FORWARDS; i++)
        sprintf(line + strlen(line), ",hostfwd=tcp::%u-:22", 1000 + i);
    strcat(line, " x");
    good(line);
    assert_int_equal(card(0)->net.n_forwards, NET_MAX_FORWARDS);
    line[strlen(line) - 2] = '\0';
    strcat(line, ",hostfwd=udp::1-:1 x");
    bad(line, "more than 32 of them");
    bad("--net tap=1 --net tap=2 --net tap=3 --net tap=4 --net tap=5 --net tap=6 --net tap=7 "
        "--net tap=8 --net tap=9 x",
        "the board has 8 virtio slots");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kinds),
        cmocka_unit_test(settings),
        cmocka_unit_test(forwards),
        cmocka_unit_test(addresses_of_cards),
        cmocka_unit_test(as_qemu_has_them),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(as_many_as_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
