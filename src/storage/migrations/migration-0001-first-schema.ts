import { Migration } from "@mikro-orm/migrations";

/** The tables of the first version. */
export class Migration0001FirstSchema extends Migration {
  override up(): void {
    this.#createFleet();
    this.#createApiKeys();
    this.#createCommands();
    this.#createEvents();
    this.addSql("create table `write_probe` (`id` integer not null primary key, `count` bigint not null)");
    this.addSql("insert into `write_probe` (`id`, `count`) values (1, 0)");
  }

  override down(): void {
    for (const table of [
      "write_probe",
      "event",
      "command",
      "api_key",
      "registration_token",
      "engine_ban",
      "agent",
      "host",
    ]) {
      this.addSql(`drop table \`${table}\``);
    }
  }

  #createFleet(): void {
    this.addSql(
      "create table `host` (`id` text not null primary key, `name` text not null, `engine_id` text not null, " +
        "`facts` json not null, `labels` json not null, `create_time` bigint not null)",
    );
    this.addSql("create unique index `host_name_unique` on `host` (`name`)");
    this.addSql("create index `host_engine_id_index` on `host` (`engine_id`)");
    this.addSql(
      "create table `agent` (`id` text not null primary key, `host_id` text not null, `public_key` blob not null, " +
        "`version` text not null, `session_epoch` integer not null, `online` integer not null, " +
        "`connect_time` bigint null, `last_seen_time` bigint null, `instance_id` text null, `journal_id` text null, " +
        "`token_id` text null, `enrol_time` bigint null, " +
        "constraint `agent_host_id_foreign` foreign key (`host_id`) references `host` (`id`) " +
        "on update no action on delete cascade)",
    );
    this.addSql("create unique index `agent_host_id_unique` on `agent` (`host_id`)");
    this.addSql("create index `agent_public_key_index` on `agent` (`public_key`)");
    this.addSql(
      "create table `engine_ban` (`engine_id` text not null primary key, `host_name` text not null, " +
        "`banned_by` text not null, `ban_time` bigint not null)",
    );
    this.addSql(
      "create table `registration_token` (`id` text not null primary key, `secret_hash` blob not null, " +
        "`description` text not null, `created_by` text not null, `create_time` bigint not null, " +
        "`expire_time` bigint not null, `max_uses` integer not null, `use_count` integer not null, " +
        "`revoke_time` bigint null, `host_id` text null, `last_use` json null)",
    );
    this.addSql(
      "create unique index `registration_token_secret_hash_unique` on `registration_token` (`secret_hash`)",
    );
    this.addSql(
      "create index `registration_token_create_time_id_index` on `registration_token` (`create_time`, `id`)",
    );
  }

  #createApiKeys(): void {
    this.addSql(
      "create table `api_key` (`id` text not null primary key, `secret_hash` blob not null, `name` text not null, " +
        "`description` text not null, `role` text not null, `host_selector` json not null, `created_by` text not null, " +
        "`create_time` bigint not null, `expire_time` bigint null, `last_use_time` bigint null, `revoke_time` bigint null)",
    );
    this.addSql("create index `api_key_name_index` on `api_key` (`name`)");
    this.addSql("create index `api_key_create_time_id_index` on `api_key` (`create_time`, `id`)");
  }

  #createCommands(): void {
    this.addSql(
      "create table `command` (`id` text not null primary key, `operation` text not null, `host_id` text not null, " +
        "`host_name` text not null, `agent_id` text not null, `container` text not null, " +
        "`container_name` text not null, `caller` text not null, " +
        "`caller_key_id` text null, `caller_address` text null, " +
        "`request_id` text not null, `request_digest` blob not null, `state` text not null, `reason` text not null, " +
        "`message` text not null, `metadata` json not null, `changed` integer not null, `attempt` integer not null, " +
        "`session_epoch` integer not null, `journal_id` text not null, `timeout_ms` bigint not null, " +
        "`expire_time` bigint not null, `cancel_requested` integer not null, " +
        "`create_time` bigint not null, `dispatch_time` bigint null, `accept_time` bigint null, " +
        "`end_time` bigint null, `transitions` json not null, `payload` blob not null, `outcome` blob not null)",
    );
    this.addSql("create index `command_caller_request_id_index` on `command` (`caller`, `request_id`)");
    for (const column of ["host_id", "container", "container_name", "state", "end_time"]) {
      this.addSql(`create index \`command_${column}_id_index\` on \`command\` (\`${column}\`, \`id\`)`);
    }
  }

  #createEvents(): void {
    // AUTOINCREMENT: a sequence is never given twice, also when the newest rows were deleted.
    this.addSql(
      "create table `event` (`sequence` integer not null primary key autoincrement, `type` integer not null, " +
        "`event_time` bigint not null, `record_time` bigint not null, `host_id` text not null, " +
        "`host_name` text not null, `container_id` text not null, `container_name` text not null, " +
        "`command_id` text not null, `actor` text not null, `attributes` json not null)",
    );
    for (const column of ["type", "host_id", "container_id", "container_name", "command_id"]) {
      this.addSql(
        `create index \`event_${column}_sequence_index\` on \`event\` (\`${column}\`, \`sequence\`)`,
      );
    }
  }
}
