# Hashes, ciphers, and signatures that are the same each time. Keys are in $KEYS, with signatures made
# by the other side.
set -eu
dir=$(mktemp -d)
seq 1 200000 >"$dir/text"
for hash in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 shake256 blake2b512 blake2s256 sm3; do
    # shake256's default length differs between versions.
    case $hash in shake256) more='-xoflen 64' ;; *) more= ;; esac
    # shellcheck disable=SC2086 # a list of words
    echo "$hash $(openssl dgst -r -$hash $more "$dir/text" | cut -d' ' -f1)"
done
echo "hmac $(openssl dgst -r -sha256 -hmac key "$dir/text" | cut -d' ' -f1)"
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff
for cipher in aes-128-cbc aes-192-cbc aes-256-cbc aes-256-ctr aes-256-ecb aes-128-ofb aes-128-cfb chacha20 camellia-256-cbc; do
    long=$key
    case $cipher in *-128-*) long=$(echo $key | cut -c1-32) ;; *-192-*) long=$(echo $key | cut -c1-48) ;; esac
    vector="-iv $iv"
    case $cipher in *-ecb) vector= ;; esac
    # shellcheck disable=SC2086 # a list of words
    openssl enc -$cipher -K "$long" $vector -in "$dir/text" -out "$dir/secret"
    # shellcheck disable=SC2086 # a list of words
    openssl enc -d -$cipher -K "$long" $vector -in "$dir/secret" | cmp - "$dir/text"
    echo "$cipher $(sha256sum <"$dir/secret")"
done
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:word -kdfopt salt:salt -kdfopt iter:20000 PBKDF2
openssl kdf -keylen 32 -kdfopt pass:word -kdfopt salt:salt -kdfopt n:4096 -kdfopt r:8 -kdfopt p:1 SCRYPT
# RSA (PKCS #1 v1.5) and Ed25519 sign alike each time.
openssl dgst -sha256 -sign "$KEYS/rsa.pem" -out "$dir/rsa" "$dir/text"
openssl dgst -sha256 -prverify "$KEYS/rsa.pem" -signature "$dir/rsa" "$dir/text"
openssl pkeyutl -sign -inkey "$KEYS/ed25519.pem" -rawin -in "$KEYS/ed25519.pem" -out "$dir/ed25519"
sha256sum <"$dir/rsa"
sha256sum <"$dir/ed25519"
# Signatures of the host's with a random part are good here.
openssl dgst -sha384 -prverify "$KEYS/ec.pem" -signature "$KEYS/ec.signature" "$dir/text"
openssl dgst -sha256 -prverify "$KEYS/rsa.pem" -sigopt rsa_padding_mode:pss -signature "$KEYS/pss.signature" "$dir/text"
# What follows a changed text is not.
echo more >>"$dir/text"
! openssl dgst -sha256 -prverify "$KEYS/rsa.pem" -signature "$dir/rsa" "$dir/text"
openssl prime 170141183460469231731687303715884105727 170141183460469231731687303715884105729
rm -rf "$dir"
