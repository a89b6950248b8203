/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of every public struct, held fast: a change that moves or resizes something does not compile. Appending a field
 * changes SIZE of its struct and adds a line; nothing else may. Structs in arrays and in batches never change at all. */
#include <connectd/ext/build.h>
#include <connectd/sdk.h>

#if UINTPTR_MAX == 0xffffffffffffffffu
#define SIZE(type, n) CN_STATIC_ASSERT(sizeof(struct type) == (n), #type)
#define AT(type, field, n) CN_STATIC_ASSERT(offsetof(struct type, field) == (n), #type "." #field)

SIZE(cn_list, 16);
AT(cn_list, n, 0);
AT(cn_list, items, 8);

SIZE(cn_pairs, 24);
AT(cn_pairs, n, 0);
AT(cn_pairs, names, 8);
AT(cn_pairs, values, 16);

SIZE(cn_option, 72);
AT(cn_option, name, 0);
AT(cn_option, type, 8);
AT(cn_option, flags, 9);
AT(cn_option, reserved, 10);
AT(cn_option, at, 12);
AT(cn_option, def, 16);
AT(cn_option, min, 24);
AT(cn_option, max, 32);
AT(cn_option, choices, 40);
AT(cn_option, group, 48);
AT(cn_option, doc, 56);
AT(cn_option, aliases, 64);

SIZE(cn_option_value, 72);
AT(cn_option_value, type, 0);
AT(cn_option_value, set, 1);
AT(cn_option_value, reserved, 2);
AT(cn_option_value, choice, 4);
AT(cn_option_value, i, 8);
AT(cn_option_value, f, 16);
AT(cn_option_value, text, 24);
AT(cn_option_value, list, 32);
AT(cn_option_value, pairs, 48);

SIZE(cn_cell, 16);
AT(cn_cell, type, 0);
AT(cn_cell, reserved, 1);
AT(cn_cell, n, 4);
AT(cn_cell, u, 8);

SIZE(cn_text, 8);
AT(cn_text, at, 0);
AT(cn_text, n, 4);

SIZE(cn_header, 32);
AT(cn_header, name, 0);
AT(cn_header, value, 8);
AT(cn_header, schema, 24);
AT(cn_header, reserved, 26);

SIZE(cn_record, 80);
AT(cn_record, key, 0);
AT(cn_record, value, 16);
AT(cn_record, timestamp, 32);
AT(cn_record, offset, 40);
AT(cn_record, topic, 48);
AT(cn_record, original_topic, 52);
AT(cn_record, partition, 56);
AT(cn_record, original_partition, 60);
AT(cn_record, key_schema, 64);
AT(cn_record, value_schema, 66);
AT(cn_record, flags, 68);
AT(cn_record, headers, 72);
AT(cn_record, header_count, 76);

SIZE(cn_position, 16);
AT(cn_position, partition, 0);
AT(cn_position, offset, 8);

SIZE(cn_batch_head, 60);
AT(cn_batch_head, magic, 0);
AT(cn_batch_head, used, 4);
AT(cn_batch_head, boundary, 8);
AT(cn_batch_head, reserved, 10);
AT(cn_batch_head, record_count, 12);
AT(cn_batch_head, record_cap, 16);
AT(cn_batch_head, records, 20);
AT(cn_batch_head, topic_count, 24);
AT(cn_batch_head, topic_cap, 28);
AT(cn_batch_head, topics, 32);
AT(cn_batch_head, schema_count, 36);
AT(cn_batch_head, schema_cap, 40);
AT(cn_batch_head, schemas, 44);
AT(cn_batch_head, position_count, 48);
AT(cn_batch_head, position_cap, 52);
AT(cn_batch_head, positions, 56);

SIZE(cn_batch, 32);
AT(cn_batch, base, 0);
AT(cn_batch, cap, 8);
AT(cn_batch, failed, 12);
AT(cn_batch, grow, 16);
AT(cn_batch, owner, 24);

SIZE(cn_schema_field, 16);
AT(cn_schema_field, name, 0);
AT(cn_schema_field, schema, 8);
AT(cn_schema_field, reserved, 12);

SIZE(cn_schema_param, 16);
AT(cn_schema_param, name, 0);
AT(cn_schema_param, value, 8);

SIZE(cn_schema, 64);
AT(cn_schema, type, 0);
AT(cn_schema, optional, 1);
AT(cn_schema, has_default, 2);
AT(cn_schema, has_version, 3);
AT(cn_schema, version, 4);
AT(cn_schema, name, 8);
AT(cn_schema, doc, 16);
AT(cn_schema, params, 24);
AT(cn_schema, param_count, 28);
AT(cn_schema, fields, 32);
AT(cn_schema, field_count, 36);
AT(cn_schema, key, 40);
AT(cn_schema, element, 44);
AT(cn_schema, def, 48);

SIZE(cn_schema_blob, 24);
AT(cn_schema_blob, size, 0);
AT(cn_schema_blob, root, 4);
AT(cn_schema_blob, fingerprint, 8);

SIZE(cn_log_field, 16);
AT(cn_log_field, name, 0);
AT(cn_log_field, value, 8);

SIZE(cn_verdict, 48);
AT(cn_verdict, topic, 0);
AT(cn_verdict, partition, 8);
AT(cn_verdict, kind, 12);
AT(cn_verdict, reserved, 13);
AT(cn_verdict, first, 16);
AT(cn_verdict, last, 24);
AT(cn_verdict, retry_after_ms, 32);
AT(cn_verdict, reason, 40);

SIZE(cn_listen, 40);
AT(cn_listen, struct_size, 0);
AT(cn_listen, kind, 4);
AT(cn_listen, name, 8);
AT(cn_listen, address, 16);
AT(cn_listen, count, 24);
AT(cn_listen, backlog, 28);
AT(cn_listen, receive_buffer, 32);

SIZE(cn_stored_position, 16);
AT(cn_stored_position, partition, 0);
AT(cn_stored_position, offset, 8);

SIZE(cn_host_ops, 160);
AT(cn_host_ops, struct_size, 0);
AT(cn_host_ops, reserved, 4);
AT(cn_host_ops, config, 8);
AT(cn_host_ops, connector_name, 16);
AT(cn_host_ops, task_index, 24);
AT(cn_host_ops, task_count, 32);
AT(cn_host_ops, log, 40);
AT(cn_host_ops, fail, 48);
AT(cn_host_ops, progress, 56);
AT(cn_host_ops, metric, 64);
AT(cn_host_ops, now_us, 72);
AT(cn_host_ops, monotonic_ms, 80);
AT(cn_host_ops, wake_fd, 88);
AT(cn_host_ops, stopping, 96);
AT(cn_host_ops, settle, 104);
AT(cn_host_ops, spool_dir, 112);
AT(cn_host_ops, spool_account, 120);
AT(cn_host_ops, listen, 128);
AT(cn_host_ops, schema_put, 136);
AT(cn_host_ops, schema_get, 144);
AT(cn_host_ops, extension, 152);

SIZE(cn_host, 8);
AT(cn_host, ops, 0);

SIZE(cn_source_ops, 72);
AT(cn_source_ops, struct_size, 0);
AT(cn_source_ops, reserved, 4);
AT(cn_source_ops, plan, 8);
AT(cn_source_ops, validate, 16);
AT(cn_source_ops, check, 24);
AT(cn_source_ops, open, 32);
AT(cn_source_ops, poll, 40);
AT(cn_source_ops, committed, 48);
AT(cn_source_ops, tick, 56);
AT(cn_source_ops, close, 64);

SIZE(cn_sink_partition, 24);
AT(cn_sink_partition, topic, 0);
AT(cn_sink_partition, partition, 8);
AT(cn_sink_partition, topic_tag, 12);
AT(cn_sink_partition, offset, 16);

SIZE(cn_sink_ops, 88);
AT(cn_sink_ops, struct_size, 0);
AT(cn_sink_ops, reserved, 4);
AT(cn_sink_ops, plan, 8);
AT(cn_sink_ops, validate, 16);
AT(cn_sink_ops, check, 24);
AT(cn_sink_ops, open, 32);
AT(cn_sink_ops, assign, 40);
AT(cn_sink_ops, revoke, 48);
AT(cn_sink_ops, put, 56);
AT(cn_sink_ops, flush, 64);
AT(cn_sink_ops, tick, 72);
AT(cn_sink_ops, close, 80);

SIZE(cn_transform_ops, 40);
AT(cn_transform_ops, struct_size, 0);
AT(cn_transform_ops, reserved, 4);
AT(cn_transform_ops, validate, 8);
AT(cn_transform_ops, open, 16);
AT(cn_transform_ops, apply, 24);
AT(cn_transform_ops, close, 32);

SIZE(cn_out, 32);
AT(cn_out, p, 0);
AT(cn_out, n, 8);
AT(cn_out, cap, 16);
AT(cn_out, reserve, 24);

SIZE(cn_converter_ops, 56);
AT(cn_converter_ops, struct_size, 0);
AT(cn_converter_ops, reserved, 4);
AT(cn_converter_ops, validate, 8);
AT(cn_converter_ops, open, 16);
AT(cn_converter_ops, from_record, 24);
AT(cn_converter_ops, to_record, 32);
AT(cn_converter_ops, close, 40);
AT(cn_converter_ops, batch, 48);

SIZE(cn_component, 56);
AT(cn_component, struct_size, 0);
AT(cn_component, kind, 4);
AT(cn_component, name, 8);
AT(cn_component, aliases, 16);
AT(cn_component, summary, 24);
AT(cn_component, options, 32);
AT(cn_component, option_count, 40);
AT(cn_component, option_size, 44);
AT(cn_component, ops, 48);

SIZE(cn_plugin, 72);
AT(cn_plugin, struct_size, 0);
AT(cn_plugin, abi_major, 4);
AT(cn_plugin, abi_minor, 6);
AT(cn_plugin, name, 8);
AT(cn_plugin, version, 16);
AT(cn_plugin, author, 24);
AT(cn_plugin, license, 32);
AT(cn_plugin, home, 40);
AT(cn_plugin, components, 48);
AT(cn_plugin, component_count, 56);
AT(cn_plugin, reserved, 60);
AT(cn_plugin, extension, 64);

SIZE(cn_build, 264);
AT(cn_build, struct_size, 0);
AT(cn_build, reserved, 4);
AT(cn_build, alloc, 8);
AT(cn_build, text, 16);
AT(cn_build, topic, 24);
AT(cn_build, schema_use, 32);
AT(cn_build, record, 40);
AT(cn_build, cells, 48);
AT(cn_build, string, 56);
AT(cn_build, bytes, 64);
AT(cn_build, set, 72);
AT(cn_build, set_key, 80);
AT(cn_build, set_value, 88);
AT(cn_build, set_timestamp, 96);
AT(cn_build, set_partition, 104);
AT(cn_build, header_add, 112);
AT(cn_build, position, 120);
AT(cn_build, boundary, 128);
AT(cn_build, count, 136);
AT(cn_build, record_at, 144);
AT(cn_build, cells_at, 152);
AT(cn_build, bytes_at, 160);
AT(cn_build, topic_at, 168);
AT(cn_build, headers_of, 176);
AT(cn_build, schema_at, 184);
AT(cn_build, sb_new, 192);
AT(cn_build, sb_type, 200);
AT(cn_build, sb_fields, 208);
AT(cn_build, sb_array, 216);
AT(cn_build, sb_map, 224);
AT(cn_build, sb_params, 232);
AT(cn_build, sb_default, 240);
AT(cn_build, sb_finish, 248);
AT(cn_build, schema_free, 256);

#undef AT
#undef SIZE
#endif
