"""Dockerfile and docker-compose.yml agree with the files and with each other. There is no container
engine where the tests run, so what it would find out is looked up here."""

import json
import re

import pytest
import yaml
from conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CONNECTOR = json.loads((ROOT / "config/connectors/mks_finance.json").read_text())


def environment(service):
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def stages():
    """Stage name -> its instructions, with continued lines joined."""
    text = re.sub(r"\\\n", " ", DOCKERFILE)
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith("FROM "):
            current = line.split(" AS ")[1].strip()
            found[current] = []
        if current and line.strip() and not line.startswith("#"):
            found[current].append(line.strip())
    return found


def instructions(stage, word):
    return [line[len(word):].strip() for line in stages()[stage] if line.startswith(word + " ")]


def test_services_are_those_of_the_whole_way():
    usual = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert usual == {"mysql", "kafka", "connect", "register", "postgres", "ods-sink", "kafka-ui"}
    assert set(SERVICES) - usual == {"postgres-source", "register-postgres", "registry",
                                     "register-avro", "producer-mysql", "consumer-mysql", "maxwell",
                                     "ods-sink-maxwell", "solace", "solace-queues",
                                     "queue-postgres", "alerts-api", "ods-sink-queue", "generate",
                                     "minio", "minio-bucket", "ods-sink-lake",
                                     "prometheus", "alertmanager", "grafana", "loki", "alloy", "node-exporter"}


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned_or_built_here(name):
    service = SERVICES[name]
    if "build" in service:
        assert service["build"]["target"] in stages()
        assert (ROOT / service["build"]["context"] / "Dockerfile").exists()
    else:
        _, _, tag = service["image"].rpartition(":")
        assert tag and tag != "latest"


def test_versions_are_those_of_the_native_stack():
    stack = (ROOT / "scripts/stack").read_text()
    kafka = re.search(r"kafka_version=(\S+)", stack).group(1)
    debezium = re.search(r"debezium_version=(\S+)", stack).group(1)
    assert SERVICES["kafka"]["image"].endswith(":" + kafka)
    assert SERVICES["connect"]["image"].endswith(":" + debezium)
    assert SERVICES["mysql"]["image"] == "mysql:8.0"
    assert SERVICES["postgres"]["image"] == "postgres:16"


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_paths_exist(name):
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"] or source in ("/", "/var/run/docker.sock") and volume.endswith(":ro")


def test_every_volume_is_used():
    used = {volume.split(":")[0] for service in SERVICES.values()
            for volume in service.get("volumes", [])}
    assert set(COMPOSE["volumes"]) <= used


def test_ports_are_for_this_machine_and_each_once():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    published = [port.split(":")[1] for port in ports]
    assert len(set(published)) == len(published)


def test_dependencies_have_the_health_that_is_waited_for():
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            if how == {"condition": "service_completed_successfully"}:
                assert "healthcheck" not in SERVICES[name] and "restart" not in SERVICES[name]
                continue
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[name]


def test_addresses_between_services_lead_to_listeners():
    listeners = environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    inside = re.search(r"INSIDE://([^,]+)", listeners).group(1)
    assert environment("connect")["BOOTSTRAP_SERVERS"] == inside
    assert environment("register")["ODS_STACK_KAFKA_BOOTSTRAP"] == inside
    assert environment("ods-sink")["ODS_STACK_KAFKA_BOOTSTRAP"] == inside
    assert environment("kafka-ui")["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"] == inside
    outside = re.search(r"OUTSIDE://localhost:(\d+)", listeners).group(1)
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{outside}:{outside}"]
    for url in (environment("register")["ODS_STACK_CONNECT_URL"],
                environment("kafka-ui")["KAFKA_CLUSTERS_0_KAFKACONNECT_0_ADDRESS"]):
        host, port = re.fullmatch(r"http://([\w-]+):(\d+)", url).groups()
        assert f"127.0.0.1:{port}:{port}" in SERVICES[host]["ports"]


@pytest.mark.parametrize("service, file", [("register", "mks_finance.json"),
                                           ("register-postgres", "pg_finance.json"),
                                           ("register-avro", "mks_finance-avro.json")])
def test_connector_finds_all_its_placeholders(service, file):
    text = (ROOT / "config/connectors" / file).read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= set(environment(service))


def prometheus_flags():
    return dict(flag.removeprefix("--").split("=", 1) for flag in SERVICES["prometheus"]["command"])


def test_prometheus_keeps_exemplars_and_what_it_has():
    flags, places = prometheus_flags(), [one.split(":")[1] for one in SERVICES["prometheus"]["volumes"]]
    assert "exemplar-storage" in flags["enable-feature"].split(",")
    conf = yaml.safe_load((ROOT / "config/observability/prometheus.yml").read_text())
    variable = re.fullmatch(r"\$\{(\w+)\}", conf["global"]["external_labels"]["runbooks"])[1]
    assert variable in environment("prometheus") and "expand-external-labels" in flags["enable-feature"].split(",")
    assert {"action": "labeldrop", "regex": "runbooks"} in conf["alerting"]["alert_relabel_configs"]
    assert {flags["config.file"], flags["storage.tsdb.path"]} <= set(places)


def test_daemon_finds_all_its_variables():
    conf = (ROOT / "config/demo/ods-sink.conf").read_text()
    wanted = set(re.findall(r"\$\{(\w+)\}", conf))
    assert wanted <= set(environment("ods-sink")) <= wanted | {"ODS_LOG_FORMAT"}
    image = dict(line.split("=", 1) for line in instructions("ods-sink", "ENV"))
    defaults = set(re.findall(r"\$\{(\w+):-", conf))
    assert defaults == set(image) | {"ODS_LOG_FORMAT"}, "the demonstration on this machine has text"


def test_database_users_and_names_agree():
    mysql, register = environment("mysql"), environment("register")
    users = (ROOT / "config/compose/mysql-users.sh").read_text()
    assert f"'{register['ODS_STACK_MYSQL_DEBEZIUM_USER']}'@" in users
    assert set(re.findall(r"\$(\w+)", users)) <= set(mysql)
    assert register["ODS_STACK_MYSQL_DEBEZIUM_PASSWORD"] == mysql["MYSQL_DEBEZIUM_PASSWORD"]
    assert mysql["MYSQL_DATABASE"] == CONNECTOR["config"]["database.include.list"]
    postgres = environment("postgres")
    url = environment("ods-sink")["ODS_STACK_POSTGRES_URL"]
    assert url == (f"postgresql://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}"
                   f"@postgres:5432/{postgres['POSTGRES_DB']}")


def test_users_and_names_of_the_other_source_agree():
    source, register = environment("postgres-source"), environment("register-postgres")
    script = (ROOT / "config/compose/postgres-source.sh").read_text()
    connector = json.loads((ROOT / "config/connectors/pg_finance.json").read_text())["config"]
    assert set(re.findall(r"\$(\w+)", script)) <= set(source)
    assert f"role {register['ODS_STACK_POSTGRES_DEBEZIUM_USER']} " in script
    assert f"publication {connector['publication.name']} " in script
    assert register["ODS_STACK_POSTGRES_DEBEZIUM_PASSWORD"] == source["POSTGRES_DEBEZIUM_PASSWORD"]
    assert register["ODS_STACK_POSTGRES_SOURCE_DATABASE"] == source["POSTGRES_DB"]
    assert "wal_level=logical" in SERVICES["postgres-source"]["command"]
    # Two databases beside each other, and one daemon for both.
    tables = yaml.safe_load((ROOT / "config/demo/tables.yaml").read_text())
    assert any(pipeline["topics"] == [rf"^{connector['topic.prefix']}\.public\..*"]
               for pipeline in tables["pipelines"])


def test_maxwells_way_from_mysql_to_mysql():
    """Its users, topics and tables are those of examples/maxwell and of its demo."""
    source, target = environment("producer-mysql"), environment("consumer-mysql")
    daemon, maxwell = environment("ods-sink-maxwell"), SERVICES["maxwell"]["command"]
    options = dict(option[2:].split("=", 1) for option in maxwell[1:])
    script = (ROOT / "config/compose/maxwell-users.sh").read_text()
    assert set(re.findall(r"\$(\w+)", script)) <= set(source)
    assert f"create user '{options['user']}'@" in script
    assert options["password"] == source["MYSQL_MAXWELL_PASSWORD"]
    assert options["host"] == "producer-mysql" and "--binlog-format=ROW" in SERVICES[
        "producer-mysql"]["command"]
    listeners = environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{options['kafka.bootstrap.servers']}," in listeners
    assert daemon["ODS_STACK_KAFKA_BOOTSTRAP"] == options["kafka.bootstrap.servers"]
    assert daemon["ODS_STACK_MYSQL_HOST"] == "consumer-mysql"
    assert (daemon["ODS_STACK_MYSQL_USER"], daemon["ODS_STACK_MYSQL_PASSWORD"]) == (
        target["MYSQL_USER"], target["MYSQL_PASSWORD"])
    conf = (ROOT / "examples/maxwell/ods-sink.conf").read_text()
    assert f"dbname={target['MYSQL_DATABASE']}" in conf
    assert set(re.findall(r"\$\{(\w+)\}", conf)) <= set(daemon)
    tables = yaml.safe_load((ROOT / "examples/maxwell/tables.yaml").read_text())
    assert tables["pipelines"][0]["topics"] == [options["kafka_topic"]]
    for database, name in ((source, "producer"), (target, "consumer")):
        assert f"create table {database['MYSQL_DATABASE']}.orders (" in (
            ROOT / f"sql/maxwell/{name}.sql").read_text()
    stages_port = instructions("ods-sink", "EXPOSE")[0]
    assert SERVICES["ods-sink-maxwell"]["ports"][0].endswith(f":{stages_port}")


def test_the_way_from_a_queue():
    """Its addresses are those of examples/queue; each table has a queue."""
    daemon, database = environment("ods-sink-queue"), environment("queue-postgres")
    conf = (ROOT / "examples/queue/ods-sink.conf").read_text()
    assert set(re.findall(r"\$\{(\w+)", conf)) - set(daemon) <= {"ODS_HTTP_LISTEN", "AMQP_LETTERS"}
    assert f"@queue-postgres:5432/{database['POSTGRES_DB']}" in daemon["ODS_DSN"]
    shop, alerts = yaml.safe_load((ROOT / "examples/queue/tables.yaml").read_text())["pipelines"]
    queues = " ".join(SERVICES["solace-queues"]["command"])
    assert all(f"{topic} " in queues for topic in shop["topics"]) and " ods.letters;" in queues
    assert alerts["input"]["type"] == "outbox"
    generate = SERVICES["generate"]
    assert generate["command"][1] == daemon["AMQP_URL"] and generate["command"][3] == daemon["AMQP_USER"]
    assert environment("generate")["AMQP_PASSWORD"] == daemon["AMQP_PASSWORD"]
    assert daemon["ALERTS_URL"].endswith(SERVICES["alerts-api"]["command"][-1].split(":")[1])
    assert "/usr/bin/ods-generate" in "\n".join(instructions("ods-sink", "COPY"))


def test_the_way_into_a_lake():
    """The bucket is the one of config/lake, and the image has the engine, where the program looks for it."""
    daemon, minio = environment("ods-sink-lake"), environment("minio")
    conf = (ROOT / "config/lake/ods-sink.conf").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", conf)) <= set(daemon)
    assert (daemon["AWS_ACCESS_KEY_ID"], daemon["AWS_SECRET_ACCESS_KEY"]) == (
        minio["MINIO_ROOT_USER"], minio["MINIO_ROOT_PASSWORD"])
    assert daemon["ODS_LAKE_CATALOG"] == environment("ods-sink")["ODS_STACK_POSTGRES_URL"]
    bucket = SERVICES["minio-bucket"]["command"][-1].removeprefix("lake/")
    assert set(re.findall(r"s3://(\w+)/", conf)) == {bucket}
    tables = yaml.safe_load((ROOT / "config/lake/tables.yaml").read_text())
    prefix = CONNECTOR["config"]["topic.prefix"]
    assert all(pipeline["topics"] == [rf"^{prefix}\.mks_finance_dw\..*"] for pipeline in tables["pipelines"])
    assert SERVICES["ods-sink-lake"]["build"]["target"] == "ods-sink-lake"
    assert stages()["ods-sink-lake"][0] == "FROM ods-sink AS ods-sink-lake"
    assert instructions("ods-sink-lake", "COPY") == [
        "--from=lake /src/lake/target/release/libods_lake.so /usr/lib/ods-sink/libods_lake.so"]
    assert instructions("ods-sink-lake", "USER")[-1] == "ods-sink"
    wanted = re.search(r'rust-version = "([\d.]+)"', (ROOT / "lake/Cargo.toml").read_text()).group(1)
    assert stages()["lake"][0].startswith(f"FROM rust:{wanted}-")


@pytest.mark.parametrize("name", ["mysql-users.sh", "postgres-source.sh", "maxwell-users.sh"])
def test_scripts_for_databases_may_be_run(name):
    assert (ROOT / "config/compose" / name).stat().st_mode & 0o111


@pytest.mark.parametrize("stage", ["build", "lake", "connector"])
def test_copied_paths_exist(stage):
    for line in instructions(stage, "COPY"):
        for path in line.split()[:-1]:
            assert (ROOT / path).exists(), path


def test_image_installs_what_the_build_needs():
    """Every pkg-config module of CMakeLists.txt has its package in the build stage, and its
    library's in the final one."""
    cmake = (ROOT / "CMakeLists.txt").read_text()
    modules = re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET ([\w.-]+?)(?:>=|\))", cmake)
    packages = {"rdkafka": ("librdkafka-dev", "librdkafka1"), "libpq": ("libpq-dev", "libpq5"),
                "yyjson": ("libyyjson-dev", "libyyjson0"),
                "jansson": ("libjansson-dev", "libjansson4"),
                "libconfig": ("libconfig-dev", "libconfig11"),
                "yaml-0.1": ("libyaml-dev", "libyaml-0-2"),
                "libmicrohttpd": ("libmicrohttpd-dev", "libmicrohttpd12t64"),
                "gnutls": ("libgnutls28-dev", "libgnutls30t64"),
                "libcurl": ("libcurl4-openssl-dev", "libcurl4t64"),
                "libcrypto": ("libssl-dev", "libssl3t64"),
                "libmariadb": ("libmariadb-dev", "libmariadb3"),
                "zlib": ("zlib1g-dev", "zlib1g"), "libzstd": ("libzstd-dev", "libzstd1"),
                "libqpid-proton": ("libqpid-proton11-dev", "libqpid-proton11"),
                "expat": ("libexpat1-dev", "libexpat1"),
                "lua5.4": ("liblua5.4-dev", "liblua5.4-0"),
                "protobuf": ("libprotobuf-dev", "libprotobuf32t64")}
    assert len(modules) >= 9
    build, final = (" ".join(instructions(stage, "RUN")).split() for stage in ("build", "ods-sink"))
    for module in modules:
        development, library = packages[module]
        assert development in build and library in final


def test_final_image_is_small_safe_and_watched():
    lines = stages()["ods-sink"]
    assert instructions("ods-sink", "USER") == ["ods-sink"]
    assert any(line.startswith("HEALTHCHECK ") and "/healthz" in line for line in lines)
    port = instructions("ods-sink", "EXPOSE")[0]
    assert SERVICES["ods-sink"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/healthz" in "\n".join(lines)
    assert "build-essential" not in DOCKERFILE
    assert all("rm -rf /var/lib/apt/lists" in line for stage in stages()
               for line in instructions(stage, "RUN") if "apt-get install" in line)


def test_final_image_runs_as_a_command_of_the_program():
    assert json.loads(instructions("ods-sink", "ENTRYPOINT")[0]) == ["/usr/bin/ods-sink"]
    command = json.loads(instructions("ods-sink", "CMD")[0])
    mounted = {volume.split(":")[1] for volume in SERVICES["ods-sink"]["volumes"]}
    assert command[:2] == ["run", "-c"] and command[2] in mounted


def test_observability_is_whole():
    """What the profile mounts is there, and who is named in its files is a service of it."""
    folder = ROOT / "config" / "observability"
    profile = {name for name, service in SERVICES.items() if service.get("profiles") == ["observability"]}
    for name in profile:
        for volume in SERVICES[name].get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume
    prometheus = yaml.safe_load((folder / "prometheus.yml").read_text())
    named = [target for job in prometheus["scrape_configs"] for one in job["static_configs"] for target in one["targets"]]
    roles = {one["labels"]["ods_role"] for job in prometheus["scrape_configs"] for one in job["static_configs"] if "labels" in one}
    assert roles == set(re.findall(r'ods_role="(\w+)"', (folder / "sink.rules.yaml").read_text()))
    daemons = {name for job in prometheus["scrape_configs"] for one in job.get("dns_sd_configs", ()) for name in one["names"]}
    assert daemons | {"ods-sink"} == {name for name in SERVICES if name.startswith("ods-sink")}
    named += prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    sources = yaml.safe_load((folder / "grafana/provisioning/datasources/ods-sink.yaml").read_text())["datasources"]
    named += [source["url"].removeprefix("http://") for source in sources]
    named += re.findall(r"http://(loki:\d+)", (folder / "alloy.config").read_text())
    assert {target.split(":")[0] for target in named} <= profile | {"ods-sink"}
    boards = yaml.safe_load((folder / "grafana/provisioning/dashboards/ods-sink.yaml").read_text())
    mounts = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert boards["providers"][0]["options"]["path"] in mounts
    uids = {source["uid"] for source in sources}
    for path in (folder / "grafana" / "dashboards").glob("*.json"):
        assert set(re.findall(r'"uid": "(ods-(?!sink)[a-z]+)"', path.read_text())) <= uids
    rules = {f"./config/observability/{path.name}" for path in folder.glob("*.rules.yaml")}
    assert rules == {volume.split(":")[0] for volume in SERVICES["prometheus"]["volumes"] if ".rules.yaml" in volume}
    yaml.safe_load((folder / "loki.yml").read_text()), yaml.safe_load((folder / "promtail.yml").read_text())
