# Sourced by scripts/setup: Python, Java, Postgres, Prometheus, Chromium, libfaketime: found, or installed with apt.
# What is looked for, and where, is what catalog/java.py, stack/postgres.py and stack/prometheus.py look for.

find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

find_java() {
  local java modules
  for java in "${LAKE_JAVA_HOME:-/nowhere}/bin/java" "$(command -v java)" /usr/lib/jvm/*/bin/java /opt/homebrew/opt/openjdk*/bin/java; do
    [ -x "$java" ] && modules=$("$java" --list-modules 2>/dev/null) || continue
    if [[ $modules == *jdk.incubator.vector* && $modules =~ java\.base@([0-9]+) ]] && ((BASH_REMATCH[1] >= 17)); then
      printf '%s\n' "$java"
      return
    fi
  done
  return 1
}

find_postgres() {
  local initdb
  for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb "$(command -v initdb)" /opt/homebrew/opt/postgresql*/bin/initdb; do
    if [ -x "$initdb" ]; then
      printf '%s\n' "$initdb"
      return
    fi
  done
  return 1
}

find_prometheus() {
  command -v prometheus
}

find_chromium() {
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

find_faketime() {
  local library
  for library in /usr/lib/*/faketime/libfaketimeMT.so.1; do
    [ -e "$library" ] && return
  done
  return 1
}

# One that builds MinIO and toxiproxy: 1.24 or newer.
find_go() {
  local go
  for go in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    if [ -x "$go" ] && [[ $("$go" version) =~ go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24)); then
      printf '%s\n' "$go"
      return
    fi
  done
  return 1
}

# Which of those named are missing, each after a blank.
missing_packages() {
  local name
  for name in "$@"; do "find_$name" >/dev/null || printf ' %s' "$name"; done
}

install_system_packages() {
  if command -v apt-get >/dev/null && as_root true; then
    install_with_apt "$@"
  else
    say_what_to_install "$@" >&2
    return 1
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

install_with_apt() {
  local packages=() name no_cluster=/etc/postgresql-common/createcluster.d/lakehouse.conf status=0
  apt-cache show openjdk-17-jre-headless openjdk-21-jre-headless >/dev/null 2>&1 || as_root apt-get update -q
  for name in "$@"; do
    case $name in
      python) packages+=(python3 python3-venv) ;;
      java) packages+=("$(first_known openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless)") ;;
      postgres) packages+=(postgresql) ;;
      chromium) packages+=(chromium) ;;
      faketime) packages+=(libfaketime) ;;
      # Masked, or Debian would start a Prometheus of its own, now and at every boot.
      prometheus) packages+=(prometheus) && as_root ln -sfn /dev/null /etc/systemd/system/prometheus.service ;;
    esac
  done
  # Without it, Debian would create a cluster and start it on port 5432.
  as_root mkdir -p "$(dirname "$no_cluster")"
  echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
  apt_install "${packages[@]}" || { as_root apt-get update -q && apt_install "${packages[@]}"; } || status=1
  as_root rm -f "$no_cluster"
  [ -z "$(missing_packages "$@")" ] && return "$status"
  say_what_to_install $(missing_packages "$@") >&2
  return 1
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null |
    sed -uE '/^(Get:|Setting up|E:)/!d; s/^/  /'
}

first_known() {
  local name
  for name in "$@"; do
    if apt-cache show "$name" >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  printf '%s\n' "$1"
}

say_what_to_install() {
  printf 'missing:%s; install it and run the command again\n' " $*"
  printf '  Debian, Ubuntu  sudo apt-get install python3-venv openjdk-17-jre-headless postgresql\n'
  printf '  Fedora          sudo dnf install python3 java-17-openjdk-headless postgresql-server postgresql\n'
  printf '  macOS           brew install python@3.12 openjdk@17 postgresql@17\n'
  printf 'Needed are Python 3.11 or newer with venv, a full Java runtime 17 or newer (with its module jdk.incubator.vector;\nLAKE_JAVA_HOME names one) and the programs of a Postgres server. Monitoring needs Prometheus: the package prometheus\non Debian, Ubuntu and macOS, golang-github-prometheus on Fedora. The dashboard'\''s test needs Chromium, the package chromium.\n'
}
