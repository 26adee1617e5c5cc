/* A guest's end of UDP: Debian's busybox has none.
 *
 *     udp echo PORT                   sends back what comes, for ever
 *     udp ask ADDRESS PORT TEXT       sends the text and prints the answer */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static void echo(int fd)
{
    struct sockaddr_in from;
    char text[2048];

    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &len);

        if (n >= 0)
            sendto(fd, text, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
}

static int ask(int fd, const struct sockaddr_in *to, const char *question)
{
    char text[2048];
    ssize_t n;

    sendto(fd, question, strlen(question), 0, (const struct sockaddr *)to, sizeof *to);
    n = recv(fd, text, sizeof text - 1, 0);
    if (n < 0)
        return 1;
    text[n] = '\0';
    puts(text);
    return 0;
}

int main(int argc, char **argv)
{
    const struct timeval patience = {.tv_sec = 10};
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (argc == 3 && strcmp(argv[1], "echo") == 0) {
        a.sin_port = htons((uint16_t)atoi(argv[2]));
        if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0)
            return 1;
        echo(fd);
    }
    if (argc != 5 || inet_pton(AF_INET, argv[2], &a.sin_addr) != 1)
        return 2;
    a.sin_port = htons((uint16_t)atoi(argv[3]));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return ask(fd, &a, argv[4]);
}
