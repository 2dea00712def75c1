# shellcheck shell=bash
# What the scripts share: messages, waiting for a condition, ports, the cache and what comes from
# Maven into it. Sourced, never run. It expects `set -euo pipefail` in the script that sources it.

ODS_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ods-sink
ODS_SCRIPT=${0##*/}

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$ODS_SCRIPT" "$*" >&2; }

# die MESSAGE [WHAT TO DO NEXT]
die() {
    warn "$1"
    [ $# -lt 2 ] || printf '  %s\n' "${@:2}" >&2
    exit 1
}

# usage prints the comment at the head of the script that runs.
usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; }

now_ms() { date +%s%3N; }

# took START_MS prints the seconds since then, as in "4.2 s".
took() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# tail_log FILE [LINES] shows the end of a log on standard error.
tail_log() {
    [ -s "$1" ] || return 0
    printf -- '--- end of %s\n' "$1" >&2
    tail -n "${2:-25}" "$1" >&2
    printf -- '---\n' >&2
}

# step LOG TEXT COMMAND… runs the command quietly and prints one line with the time that it took.
step() {
    local log=$1 text=$2 started
    shift 2
    started=$(now_ms)
    printf '  %-46s ' "$text"
    if "$@" >>"$log" 2>&1 </dev/null; then
        took "$started"
        printf '\n'
        return 0
    fi
    printf 'FAILED\n'
    tail_log "$log"
    return 1
}

# wait_for SECONDS COMMAND… asks again until the command succeeds; 1 when the time is over.
wait_for() {
    local until=$(($(now_ms) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$until" ] || return 1
        sleep 0.1
    done
}

have() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND… names every missing one at once, not the first.
need() {
    local tool missing=()
    for tool; do have "$tool" || missing+=("$tool"); done
    [ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]}" "run scripts/setup as root first"
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports COUNT prints that many different ports on which nothing listens and which no other call
# was given lately: a server may bind its port long after it was chosen, and stacks are made beside
# each other. They lie below the range from which the kernel takes ports for outgoing connections, so
# that none of those gets in between either.
free_ports() {
    local claims=${TMPDIR:-/tmp}/ods-sink-ports.$UID
    (
        flock 9
        free_ports_of "$1" "$claims"
    ) 9>>"$claims"
}

# free_ports_of COUNT CLAIMS: a line of CLAIMS is a port and the second in which it was given.
free_ports_of() {
    local count=$1 claims=$2 now port given seen=' ' kept=()
    now=$(date +%s)
    while read -r port given; do
        [ $((now - given)) -lt 7200 ] || continue
        kept+=("$port $given")
        seen+="$port "
    done <"$claims"
    while [ "$count" -gt 0 ]; do
        port=$((12000 + SRANDOM % 20000))
        case $seen in *" $port "*) continue ;; esac
        seen+="$port "
        port_taken "$port" && continue
        kept+=("$port $now")
        printf '%s\n' "$port"
        count=$((count - 1))
    done
    printf '%s\n' "${kept[@]}" >"$claims"
}

random_password() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# find_java prints the first java that is new enough for Kafka 3.9 and Debezium 3.
find_java() {
    local java
    for java in java "${JAVA_HOME:-/none}/bin/java" /usr/lib/jvm/*/bin/java; do
        have "$java" || continue
        [ "$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p;q')" -ge 17 ] \
            2>/dev/null || continue
        command -v "$java"
        return 0
    done
    die "no Java 17 or later on this machine" "run scripts/setup as root first"
}

# maven_pom COORDINATE… prints a pom with those dependencies. A coordinate is
# group:artifact:version[:type:classifier]; with a leading '+' its own dependencies come too.
maven_pom() {
    local item group artifact version type classifier
    cat <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>ods-sink</groupId><artifactId>stack</artifactId><version>1</version>
<packaging>pom</packaging>
<build><pluginManagement><plugins><plugin>
<artifactId>maven-dependency-plugin</artifactId><version>3.6.1</version>
</plugin></plugins></pluginManagement></build>
<dependencies>
POM
    for item; do
        IFS=: read -r group artifact version type classifier <<<"${item#+}"
        printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId>' "$group" "$artifact"
        printf '<version>%s</version>' "$version"
        [ -z "$type" ] || printf '<type>%s</type><classifier>%s</classifier>' "$type" "$classifier"
        case $item in
        +*) ;;
        *)
            printf '<exclusions><exclusion><groupId>*</groupId>'
            printf '<artifactId>*</artifactId></exclusion></exclusions>'
            ;;
        esac
        printf '</dependency>\n'
    done
    printf '</dependencies>\n</project>\n'
}

# maven_copy DIRECTORY COORDINATE… puts the files of those coordinates into the directory, with
# their checksums verified. The local repository lies in the cache, so that removing the cache
# removes everything that was downloaded.
maven_copy() {
    local out=$1 pom
    shift
    need mvn
    mkdir -p "$out"
    pom=$out/pom.xml
    maven_pom "$@" >"$pom"
    mvn -B -ntp --strict-checksums -f "$pom" "-Dmaven.repo.local=$ODS_CACHE/m2" \
        dependency:copy-dependencies "-DoutputDirectory=$out" || return 1
    rm -f "$pom"
}

# python_with NAME WHEEL… prints the Python of a folder of the cache that has these wheels of PyPI, and
# installs them first if they are not there. Nothing of the system changes, and what is there is used
# without a network. A NAME stands for its wheels: others get another one.
python_with() {
    local name=$1 venv=$ODS_CACHE/$1 log=$ODS_CACHE/log/$1.log
    shift
    mkdir -p "$ODS_CACHE/log"
    (
        flock 8
        [ -e "$venv/complete" ] || {
            rm -rf "$venv"
            /usr/bin/python3 -m venv "$venv" &&
                "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" && : >"$venv/complete"
        } >>"$log" 2>&1 || {
            tail_log "$log"
            die "what $name needs could not be installed" \
                "check that pip reaches its index, and that python3-venv is installed (scripts/setup)"
        }
    ) 8>"$ODS_CACHE/$name.lock" || exit 1
    say "$venv/bin/python"
}
